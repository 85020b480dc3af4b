/** Command traces: types, reader and writer in one place. */
export { TraceError } from './record.ts';
export type { ChainRecord, FeaturesRecord, RegionsRecord, Trace, TraceHeader, TraceRecord, TraceRegion } from './record.ts';
export { parseTrace } from './read.ts';
export { formatHeader, formatRecord, formatTrace } from './write.ts';
