import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { UsageError } from '../../benchmarks/commands/command.ts';
import { replayCommand } from '../../benchmarks/commands/replay.ts';
import { loadTrace, type ReplayDocument } from '../../benchmarks/replay.ts';
import { REPLAY_DEFAULTS, Replay, type ReplayOptions, type ReplayResult } from '../../core/machine/replay.ts';
import { VirtualClock } from '../../core/measure/clock.ts';
import { copyKernels } from '../../core/memory/copier.ts';
import { decodeRequest, type Request } from '../../core/protocol/request.ts';
import { type ChainRecord, formatTrace, parseTrace, type Trace, type TraceRecord } from '../../core/trace/trace.ts';

const folder = join(import.meta.dirname, '../fixtures/traces');
const files = readdirSync(folder)
  .filter((name) => name.endsWith('.jsonl'))
  .sort();
const pathOf = (name: string): string => join(folder, name);
const traceOf = (name: string): Trace => parseTrace(readFileSync(pathOf(name), 'utf8'));

const scratch = mkdtempSync(join(tmpdir(), 'scanout-replay-'));
afterAll(() => rmSync(scratch, { recursive: true }));

function write(name: string, text: string): string {
  const path = join(scratch, name);
  writeFileSync(path, text);
  return path;
}

function replay(trace: Trace, options: Partial<ReplayOptions> = {}): ReplayResult {
  const played = new Replay(trace, { ...REPLAY_DEFAULTS, kernel: copyKernels()[0], ...options }, new VirtualClock());
  expect(played.play()).toBe(false);
  return played.result;
}

const chainsOf = (trace: Trace): ChainRecord[] => trace.records.filter((record) => record.kind === 'chain');

function requestOf(chain: ChainRecord): Request {
  const request = decodeRequest(chain.request);
  if ('error' in request) throw new Error(request.error);
  return request;
}

const requestsOf = (trace: Trace): Request[] => chainsOf(trace).map(requestOf);

function tally(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

/** As the command line runs it. */
async function run(...argv: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  let stdout = '';
  let stderr = '';
  const io = {
    stdout: (text: string) => {
      stdout += text;
    },
    stderr: (text: string) => {
      stderr += text;
    },
    signal: new AbortController().signal,
  };
  try {
    return { code: await replayCommand.run(argv, io), stdout, stderr };
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    return { code: 2, stdout, stderr: `scanout replay: ${error.message}\n` };
  }
}

/** The trace with some of its records changed, dropped (null) or several put in their place. */
function changed(trace: Trace, change: (record: TraceRecord, index: number) => TraceRecord | null): Trace {
  return { header: trace.header, records: trace.records.map(change).filter((record) => record !== null) };
}

/** Of the commands whose answer is more than that it went well. */
const OWN_RESPONSES: Readonly<Record<string, string>> = { GET_DISPLAY_INFO: 'OK_DISPLAY_INFO', GET_EDID: 'OK_EDID' };

it('there are eleven recorded traces', () => {
  expect(files).toHaveLength(11);
});

describe.each(files)('%s', (name) => {
  const trace = traceOf(name);
  const result = replay(trace);

  it('no command is answered with an error', () => {
    expect(result.errors).toEqual([]);
    expect(Object.keys(result.responses).filter((response) => response.startsWith('ERR_'))).toEqual([]);
  });

  it('every command of the trace is played, every one of the control queue answered', () => {
    const requests = requestsOf(trace);
    expect(result.commands).toEqual(tally(requests.map((request) => request.name)));
    const control = chainsOf(trace)
      .filter((chain) => chain.queue === 0)
      .map(requestOf);
    const expected = control.map((request) => OWN_RESPONSES[request.name] ?? 'OK_NODATA');
    expect(result.responses).toEqual(tally(expected));
  });

  it('copies exactly what TRANSFER_TO_HOST_2D names of 2D resources', () => {
    const images = new Set<number>();
    let bytes = 0;
    for (const request of requestsOf(trace)) {
      if (request.name === 'RESOURCE_CREATE_2D') images.add(request.resource);
      if (request.name === 'TRANSFER_TO_HOST_2D' && images.has(request.resource)) bytes += request.width * request.height * 4;
    }
    expect(result.bytesCopied).toBe(bytes);
    expect(bytes > 0).toBe(name.includes('-copy-'));
  });

  it('with list_limit 1024 exactly the blobs of more than 1024 entries are copied', () => {
    const blobs = requestsOf(trace).flatMap((request) =>
      request.name === 'RESOURCE_CREATE_BLOB' && request.entries.length > 1024
        ? [{ resourceId: request.resource, entries: request.entries.length }]
        : [],
    );
    const limited = replay(trace, { listLimit: 1024 });
    expect(limited.errors).toEqual([]);
    expect(limited.fallbacks.map(({ resourceId, entries }) => ({ resourceId, entries }))).toEqual(blobs);
    for (const { reason, entries } of limited.fallbacks) expect(reason).toBe(`udmabuf list_limit 1024 < ${entries} entries`);
    expect(blobs.length > 0).toBe(name.includes('-import-'));
    expect(result.fallbacks).toEqual([]);
  });
});

describe('what is recorded decides', () => {
  const importing = traceOf('linux-7.2-import-1080p.jsonl');
  const revoking = traceOf('linux-7.2-vfio-revoke-1080p.jsonl');

  it('a blob that fell back is copied at each of its flushes', () => {
    const limited = replay(importing, { listLimit: 1024 });
    const flushes = requestsOf(importing).filter(
      (request) => request.name === 'RESOURCE_FLUSH' && request.resource === limited.fallbacks[0].resourceId,
    );
    expect(limited.bytesCopied).toBe(flushes.length * 1920 * 1080 * 4);
  });

  it('size_limit_mb below a frame makes imports of RAM fall back', () => {
    const limited = replay(importing, { sizeLimitMb: 7 });
    expect(limited.errors).toEqual([]);
    expect(limited.fallbacks.map(({ reason }) => reason)).toEqual(limited.fallbacks.map(() => 'udmabuf size_limit_mb 7 < 8 MiB'));
    expect(limited.fallbacks.length).toBeGreaterThan(1);
  });

  it('profile qemu-10.2: the failed import passes silently, SET_SCANOUT_BLOB answers UNSPEC', () => {
    const { errors } = replay(importing, { listLimit: 1024, profile: 'qemu-10.2', policy: 'error' });
    const long = requestsOf(importing).find((request) => request.name === 'RESOURCE_CREATE_BLOB' && request.entries.length > 1024);
    const expected = importing.records.flatMap((record, index) => {
      if (record.kind !== 'chain') return [];
      const request = requestOf(record);
      const hit = request.name === 'SET_SCANOUT_BLOB' && request.resource === (long?.name === 'RESOURCE_CREATE_BLOB' ? long.resource : -1);
      return hit ? [{ line: index + 2, command: 'SET_SCANOUT_BLOB', response: 'ERR_UNSPEC' }] : [];
    });
    expect(errors.filter(({ command }) => command === 'RESOURCE_CREATE_BLOB')).toEqual([]);
    expect(errors.filter(({ command }) => command === 'SET_SCANOUT_BLOB')).toEqual(expected);
    expect(expected.length).toBeGreaterThan(50);
  });

  it('profile series with policy error refuses the import itself', () => {
    const { errors } = replay(importing, { listLimit: 1024, policy: 'error' });
    expect(errors[0]).toEqual({ line: 33, command: 'RESOURCE_CREATE_BLOB', response: 'ERR_UNSPEC' });
  });

  it("memory-table changes are played: without the region's return its buffer cannot be attached again", () => {
    const leaves = revoking.records.findIndex((record, index) => index > 60 && record.kind === 'regions');
    expect(revoking.records[leaves + 1].kind).toBe('regions');
    const { errors, memoryChanges } = replay(changed(revoking, (record, index) => (index === leaves + 1 ? null : record)));
    expect(errors[0]).toEqual({ line: leaves + 3, command: 'RESOURCE_ATTACH_BACKING', response: 'ERR_UNSPEC' });
    // Ten changes were recorded; the return is missing, so the next departure changes nothing either.
    expect(memoryChanges).toBe(8);
    expect(replay(revoking).memoryChanges).toBe(10);
  });

  it('without ATTACH_BACKING after a reset the buffer is not shown', () => {
    const { errors } = replay(
      changed(revoking, (record) => (record.kind === 'chain' && requestOf(record).name === 'RESOURCE_ATTACH_BACKING' ? null : record)),
    );
    expect(new Set(errors.map(({ command, response }) => `${command} ${response}`)).has('SET_SCANOUT_BLOB ERR_UNSPEC')).toBe(true);
  });

  it('direct chains, descriptors cut anywhere and no EVENT_IDX give the same answers', () => {
    const odd = changed(importing, (record) => {
      if (record.kind === 'features') return { ...record, lo: (record.lo & ~(1 << 29)) >>> 0 };
      if (record.kind !== 'chain') return record;
      const [first, ...rest] = record.readable;
      const writable = record.writable.flatMap((length) => [5, length - 5]);
      return { ...record, indirect: false, readable: [1, 30, first - 31, ...rest].filter((length) => length > 0), writable };
    });
    // GET_DISPLAY_INFO has 24 bytes: its pieces would not add up.
    const whole = changed(odd, (record) =>
      record.kind === 'chain' && record.request.length < 32 ? { ...record, readable: [record.request.length] } : record,
    );
    const result = replay(whole);
    expect(result.errors).toEqual([]);
    expect(result.responses).toEqual(replay(importing).responses);
  });

  it.each([true, false])('chains of 300 descriptors play, indirect: %s', (indirect) => {
    const cut = changed(importing, (record) => {
      if (record.kind !== 'chain' || record.request.length < 30_000) return record;
      const readable = [...new Array<number>(298).fill(100), record.request.length - 29_800];
      return { ...record, indirect, readable };
    });
    const result = replay(cut);
    expect(result.errors).toEqual([]);
    expect(result.responses).toEqual(replay(importing).responses);
  });

  it('requests with any bytes changed are played to the end', () => {
    const weston = traceOf('linux-7.2-weston-720p.jsonl');
    const damage = fc.record({ record: fc.nat(weston.records.length - 1), at: fc.nat(0xffff), value: fc.integer({ min: 0, max: 255 }) });
    fc.assert(
      fc.property(fc.array(damage, { minLength: 1, maxLength: 8 }), (damages) => {
        const broken = changed(weston, (record, index) => {
          if (record.kind !== 'chain') return record;
          const request = record.request.slice();
          for (const { record: hit, at, value } of damages) if (hit === index) request[at % request.length] = value;
          return { ...record, request };
        });
        const result = replay(broken);
        expect(Object.values(result.commands).reduce((total, count) => total + count, 0)).toBe(chainsOf(weston).length);
        expect(Object.values(result.responses).reduce((total, count) => total + count, 0)).toBe(chainsOf(weston).length);
      }),
      { numRuns: 60 },
    );
  });

  it('a second features record resets the device: what was made before is gone', () => {
    const features = importing.records[0];
    const { errors } = replay({
      header: importing.header,
      records: [...importing.records.slice(0, 100), features, ...importing.records.slice(100)],
    });
    expect(errors.length).toBeGreaterThan(0);
    expect(errors.every(({ response }) => response === 'ERR_INVALID_RESOURCE_ID')).toBe(true);
    expect(errors[0].line).toBeGreaterThanOrEqual(103);
    const twice = replay({ header: importing.header, records: [...importing.records, ...importing.records] });
    expect(twice.errors).toEqual([]);
  });

  it('a response buffer without room for a header is reported with its line', () => {
    const { errors } = replay(
      changed(importing, (record, index) => (index === 2 && record.kind === 'chain' ? { ...record, writable: [8] } : record)),
    );
    expect(errors).toEqual([{ line: 4, command: 'GET_DISPLAY_INFO', response: 'a response has at least 24 bytes, not 0' }]);
  });

  it('a refused cursor command is reported, though its queue has no responses', () => {
    const cursor = traceOf('linux-7.2-cursor-1080p.jsonl');
    const unknown = changed(cursor, (record) => {
      if (record.kind !== 'chain' || requestOf(record).name !== 'UPDATE_CURSOR') return record;
      const request = record.request.slice();
      new DataView(request.buffer).setUint32(40, 77, true);
      return { ...record, request };
    });
    const { errors } = replay(unknown);
    expect(errors).toHaveLength(requestsOf(cursor).filter((request) => request.name === 'UPDATE_CURSOR').length);
    expect(errors[0]).toMatchObject({ command: 'UPDATE_CURSOR', response: 'refused' });
  });
});

describe('scanout replay', () => {
  const all = files.map(pathOf);
  const commands = files.reduce((total, name) => total + chainsOf(traceOf(name)).length, 0);

  it('prints the verdict first, in 80 columns, and exits 0', async () => {
    const { code, stdout, stderr } = await run(...all);
    expect(code).toBe(0);
    expect(stderr).toBe('');
    const lines = stdout.split('\n');
    expect(lines[0]).toBe(`11 traces, ${commands} commands: no error response`);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
    for (const name of files) expect(stdout).toContain(basename(name, '.jsonl'));
  });

  it('--json prints one document', async () => {
    const { code, stdout } = await run('--json', '--list-limit', '1024', ...all);
    expect(code).toBe(0);
    const document = JSON.parse(stdout) as ReplayDocument;
    expect(document.traces.map(({ file }) => file)).toEqual(all);
    for (const trace of document.traces) {
      const { commands, responses, bytesCopied, fallbacks, errors } = replay(traceOf(basename(trace.file)), { listLimit: 1024 });
      expect(trace).toMatchObject({ commands, responses, bytesCopied, fallbacks, errors });
      for (const [name, time] of Object.entries(trace.times)) {
        expect(time.count).toBe(trace.commands[name]);
        expect(time.meanUs).toBeGreaterThan(0);
        expect(time.maxUs).toBeGreaterThanOrEqual(time.meanUs);
      }
    }
    expect(document.traces.flatMap(({ fallbacks }) => fallbacks.map(({ entries }) => entries))).toEqual([2022, 2656]);
  });

  it('error responses exit 1 and are listed with their lines', async () => {
    const { code, stdout } = await run(
      '--profile',
      'qemu-10.2',
      '--policy',
      'error',
      '--list-limit',
      '1024',
      pathOf('linux-7.2-import-4k.jsonl'),
    );
    expect(code).toBe(1);
    expect(stdout).toMatch(/^1 trace, 173 commands: \d+ error responses\n/);
    expect(stdout).toContain('linux-7.2-import-4k: line 45: SET_SCANOUT_BLOB: ERR_UNSPEC\n');
    expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
  });

  const text = readFileSync(pathOf('linux-7.2-weston-720p.jsonl'), 'utf8');
  const lines = text.split('\n');
  const weston = traceOf('linux-7.2-weston-720p.jsonl');
  const withFeatures = (lo: number): string =>
    formatTrace(weston.header, changed(weston, (record) => (record.kind === 'features' ? { ...record, lo } : record)).records);
  const bad: [what: string, text: string, message: RegExp][] = [
    ['cut in a line', text.slice(0, text.indexOf('\n', 600) - 20), /trace line \d+: not JSON/],
    ['bad base64', text.replace('"req":"', '"req":"!'), /trace line 4: "req" is not base64/],
    ['empty', '', /trace line 1: the trace is empty/],
    ['another version', text.replace('"version":1', '"version":2'), /trace line 1: version 2 is unknown/],
    ['no features', [lines[0], ...lines.slice(2)].join('\n'), /trace line 3: a chain before the features/],
    [
      'a feature that the host lacks',
      withFeatures(0x30000009),
      /trace line 2: the guest uses features that this host does not have: VIRGL \(bit 0\)/,
    ],
    ['INDIRECT not negotiated', withFeatures(0x20000008), /trace line 4: an indirect chain, but INDIRECT_DESC was not negotiated/],
    ['a region past 4 GiB', text.replace('"size":2147483648', '"size":8589934592'), /trace line 3: the region at 0x0 has 8589934592 bytes/],
    [
      'a region of part of a page',
      text.replace('"size":2147483648', '"size":2147483649'),
      /trace line 3: the region at 0x0 is not made of whole pages/,
    ],
    ['a huge response buffer', text.replace('"wo":[408]', '"wo":[4294967295]'), /trace line 4: a chain with more than 64 MiB of buffers/],
    ['an empty descriptor', text.replace('"wo":[408]', '"wo":[0]'), /trace line 4: a descriptor of length 0/],
  ];
  it.each(bad)('a corrupt trace (%s) exits 2, with file and line on stderr and nothing on stdout', async (what, content, message) => {
    const path = write(`${what}.jsonl`, content);
    const { code, stdout, stderr } = await run(pathOf(files[0]), path);
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(stderr.startsWith(`scanout replay: ${path}: `)).toBe(true);
    expect(stderr).toMatch(message);
    expect(stderr.indexOf('\n')).toBe(stderr.length - 1);
  });

  const usage: [argv: string[], message: RegExp][] = [
    [[], /no trace given/],
    [[join(scratch, 'missing.jsonl')], /missing\.jsonl: cannot be read: there is no such file/],
    [[scratch], /cannot be read: it is a directory/],
    [['--list-limit', '-1', 'x'], /--list-limit/],
    [['--list-limit', '1.5', 'x'], /--list-limit takes a whole number from 1 to 2147483647, not "1.5"/],
    [['--size-limit-mb', '0', 'x'], /--size-limit-mb takes a whole number/],
    [['--profile', 'qemu', 'x'], /--profile takes series or qemu-10\.2, not "qemu"/],
    [['--fast', 'x'], /Unknown option '--fast'/],
  ];
  it.each(usage)('%j exits 2 with one line on stderr', async (argv, message) => {
    const { code, stdout, stderr } = await run(...argv);
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toMatch(message);
    expect(stderr.indexOf('\n')).toBe(stderr.length - 1);
  });

  it('an abort keeps and marks what was played', async () => {
    const controller = new AbortController();
    let stdout = '';
    const io = {
      stdout: (text: string) => {
        stdout += text;
      },
      stderr: () => {},
      signal: controller.signal,
    };
    const running = replayCommand.run(['--json', ...all], io);
    controller.abort();
    expect(await running).toBe(130);
    const document = JSON.parse(stdout) as ReplayDocument;
    expect(document.interrupted).toBe(true);
    expect(document.traces.length).toBeLessThan(10);
  });

  it('a source that never ends is refused at a bound', async () => {
    await expect(loadTrace('/dev/zero')).rejects.toThrow('/dev/zero: cannot be read: it is larger than 256 MiB');
  });

  it('--help fits 80 columns and shows examples', async () => {
    const { code, stdout } = await run('--help');
    expect(code).toBe(0);
    expect(stdout).toContain('Examples:');
    expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
  });
});
