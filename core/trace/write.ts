/** Writes command traces: the text that `parseTrace` reads, one JSON object a line, keys in a fixed order, no spaces. */
import { encodeBase64 } from './base64.ts';
import type { TraceHeader, TraceRecord } from './record.ts';

/** The whole trace, with a newline at its end. */
export function formatTrace(header: TraceHeader, records: readonly TraceRecord[]): string {
  let text = formatHeader(header);
  for (const record of records) text += formatRecord(record);
  return text;
}

/** The header's line, newline included; for a recorder that writes as it goes. */
export function formatHeader(header: TraceHeader): string {
  const { trace, version, guest, transport, workload } = header;
  const { num_scanouts, width, height } = header.config;
  return `${JSON.stringify({ trace, version, guest, transport, workload, config: { num_scanouts, width, height } })}\n`;
}

/** One record's line, newline included. */
export function formatRecord(record: TraceRecord): string {
  return `${JSON.stringify(plain(record))}\n`;
}

function plain(record: TraceRecord): object {
  switch (record.kind) {
    case 'features': {
      const high = record.hi === 0 ? '' : record.hi.toString(16);
      const low = record.lo.toString(16);
      return { features: `0x${high === '' ? low : high + low.padStart(8, '0')}` };
    }
    case 'regions':
      return { regions: record.regions.map(({ gpa, size, kind }) => ({ gpa: `0x${gpa.toString(16)}`, size, kind })) };
    case 'chain':
      return {
        t: record.t,
        q: record.queue,
        indirect: record.indirect ? 1 : 0,
        ro: record.readable,
        wo: record.writable,
        req: encodeBase64(record.request),
      };
  }
}
