/** A time as sinks take it: in a slot. */
export const slot = (ns: number): Float64Array => new Float64Array([ns]);
