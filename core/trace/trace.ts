/** Command traces: types, reader and writer in one place. */

export { parseTrace } from './read.ts';
export type { ChainRecord, FeaturesRecord, RegionsRecord, Trace, TraceHeader, TraceRecord, TraceRegion } from './record.ts';
export { TraceError } from './record.ts';
export { formatHeader, formatRecord, formatTrace } from './write.ts';
