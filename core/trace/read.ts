/** Reads command traces. Everything is checked: a trace is input from elsewhere. */
import { decodeBase64 } from './base64.ts';
import type { ChainRecord, FeaturesRecord, RegionsRecord, Trace, TraceHeader, TraceRecord, TraceRegion } from './record.ts';
import { TraceError } from './record.ts';

const RESTORE = 'restore the file from its source, or delete the line if the rest makes sense without it';
const MAX_SCANOUTS = 16;
const MAX_U32 = 0xffffffff;

type Fields = Readonly<Record<string, unknown>>;

/**
 * Parses a trace's text. A last line without a newline is accepted; blank lines are not.
 * @throws TraceError at the first line that is not what the format says.
 */
export function parseTrace(text: string): Trace {
  const lines = text.split('\n');
  if (lines[lines.length - 1] === '') lines.pop();
  if (lines.length === 0) throw new TraceError(1, 'the trace is empty', 'give a file whose first line is a trace header');
  const header = parseHeader(parseObject(lines[0], 1));
  const records: TraceRecord[] = [];
  for (let i = 1; i < lines.length; i++) records.push(parseRecord(parseObject(lines[i], i + 1), i + 1));
  return { header, records };
}

function parseObject(text: string, line: number): Fields {
  if (text.trim() === '') throw new TraceError(line, 'blank line', 'delete it');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new TraceError(line, `not JSON (${error instanceof Error ? error.message : String(error)})`, RESTORE);
  }
  if (!isObject(value)) throw new TraceError(line, 'not a JSON object', RESTORE);
  return value;
}

function parseHeader(fields: Fields): TraceHeader {
  if (fields['trace'] !== 'virtio-gpu-commands') {
    throw new TraceError(1, 'no header: "trace" is not "virtio-gpu-commands"', 'give a virtio-gpu command trace');
  }
  if (fields['version'] !== 1) {
    throw new TraceError(1, `version ${JSON.stringify(fields['version'])} is unknown`, 'give a trace of version 1');
  }
  onlyKeys(fields, ['trace', 'version', 'guest', 'transport', 'workload', 'config'], 1);
  const config = fields['config'];
  if (!isObject(config)) throw new TraceError(1, '"config" is not an object', RESTORE);
  onlyKeys(config, ['num_scanouts', 'width', 'height'], 1);
  const header: TraceHeader = {
    trace: 'virtio-gpu-commands',
    version: 1,
    config: {
      num_scanouts: integer(config['num_scanouts'], 1, MAX_SCANOUTS, '"num_scanouts"', 1),
      width: integer(config['width'], 1, MAX_U32, '"width"', 1),
      height: integer(config['height'], 1, MAX_U32, '"height"', 1),
    },
  };
  for (const key of ['guest', 'transport', 'workload'] as const) {
    const value = fields[key];
    if (value === undefined) continue;
    if (typeof value !== 'string') throw new TraceError(1, `"${key}" is not a string`, RESTORE);
    header[key] = value;
  }
  return header;
}

function parseRecord(fields: Fields, line: number): TraceRecord {
  if (fields['features'] !== undefined) return parseFeatures(fields, line);
  if (fields['regions'] !== undefined) return parseRegions(fields, line);
  if (fields['req'] !== undefined) return parseChain(fields, line);
  throw new TraceError(line, 'neither "features" nor "regions" nor a chain ("req")', RESTORE);
}

function parseFeatures(fields: Fields, line: number): FeaturesRecord {
  onlyKeys(fields, ['features'], line);
  const text = fields['features'];
  if (typeof text !== 'string' || !/^0x[0-9a-f]{1,16}$/.test(text)) {
    throw new TraceError(line, '"features" is not a 64-bit number in hexadecimal such as "0x170000008"', RESTORE);
  }
  const digits = text.slice(2).padStart(16, '0');
  return { kind: 'features', lo: Number.parseInt(digits.slice(8), 16), hi: Number.parseInt(digits.slice(0, 8), 16) };
}

function parseRegions(fields: Fields, line: number): RegionsRecord {
  onlyKeys(fields, ['regions'], line);
  const list = fields['regions'];
  if (!Array.isArray(list)) throw new TraceError(line, '"regions" is not an array', RESTORE);
  const regions: TraceRegion[] = [];
  for (const region of list as readonly unknown[]) {
    if (!isObject(region)) throw new TraceError(line, 'a region is not an object', RESTORE);
    onlyKeys(region, ['gpa', 'size', 'kind'], line);
    const text = region['gpa'];
    const gpa = typeof text === 'string' && /^0x[0-9a-f]{1,16}$/.test(text) ? Number.parseInt(text.slice(2), 16) : Number.NaN;
    if (!Number.isSafeInteger(gpa)) throw new TraceError(line, 'a region\'s "gpa" is not an address below 2^53 in hexadecimal', RESTORE);
    const size = integer(region['size'], 1, Number.MAX_SAFE_INTEGER - gpa, 'a region\'s "size"', line);
    const kind = region['kind'];
    if (kind !== 'ram' && kind !== 'device') throw new TraceError(line, 'a region\'s "kind" is neither "ram" nor "device"', RESTORE);
    if (regions.some((other) => gpa < other.gpa + other.size && other.gpa < gpa + size)) {
      throw new TraceError(line, `the region at ${String(text)} overlaps another`, RESTORE);
    }
    regions.push({ gpa, size, kind });
  }
  return { kind: 'regions', regions };
}

function parseChain(fields: Fields, line: number): ChainRecord {
  onlyKeys(fields, ['t', 'q', 'indirect', 'ro', 'wo', 'req'], line);
  const t = integer(fields['t'], 0, Number.MAX_SAFE_INTEGER, '"t"', line);
  const queue = integer(fields['q'], 0, 1, '"q"', line) === 0 ? 0 : 1;
  const indirect = integer(fields['indirect'], 0, 1, '"indirect"', line) === 1;
  const readable = lengths(fields['ro'], '"ro"', line);
  const writable = lengths(fields['wo'], '"wo"', line);
  const text = fields['req'];
  const request = typeof text === 'string' ? decodeBase64(text) : null;
  if (request === null) throw new TraceError(line, '"req" is not base64', RESTORE);
  const sum = readable.reduce((total, length) => total + length, 0);
  if (sum !== request.length) {
    throw new TraceError(line, `the lengths in "ro" sum to ${sum}, the request has ${request.length} bytes`, RESTORE);
  }
  return { kind: 'chain', t, queue, indirect, readable, writable, request };
}

function lengths(value: unknown, what: string, line: number): number[] {
  if (!Array.isArray(value)) throw new TraceError(line, `${what} is not an array`, RESTORE);
  return (value as readonly unknown[]).map((length) => integer(length, 0, MAX_U32, `a length in ${what}`, line));
}

function integer(value: unknown, least: number, most: number, what: string, line: number): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < least || value > most) {
    throw new TraceError(line, `${what} is not a whole number from ${least} to ${most}`, RESTORE);
  }
  return value;
}

/** A key that this reader doesn't know would be lost when the trace is written again. */
function onlyKeys(fields: Fields, known: readonly string[], line: number): void {
  for (const key of Object.keys(fields)) {
    if (!known.includes(key)) throw new TraceError(line, `unknown key ${JSON.stringify(key)}`, 'remove it, or give a trace of version 1');
  }
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
