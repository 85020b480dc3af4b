import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Path, Ring } from '../../core/machine/options.ts';
import { DEFAULT_OPTIONS } from '../../core/machine/options.ts';
import { planMachine } from '../../core/machine/plan.ts';
import { monotonicNowNs } from '../../core/measure/clock.ts';
import { FrameColumn, FrameLog } from '../../core/measure/frame-log.ts';
import { message, pair, VHOST_REPLY, VhostUser } from '../../core/protocol/vhost-user.ts';
import { Libc } from '../../workers/native/libc.ts';
import { connectBackEnd } from '../../workers/vhost-user/guest-connect.ts';
import { runVhostUserGuest } from '../../workers/vhost-user/guest-run.ts';
import { Running } from '../support/running-command.ts';

const loaded = Libc.load();
const QEMU = '/usr/lib/qemu/vhost-user-gpu';
const FRAMES = 60;

describe.skipIf(typeof loaded === 'string')('scanout guest', () => {
  const libc = loaded as Libc;
  let folder: string;
  let socket: string;
  let running: Running[];
  let child: ChildProcess | null;
  let server: Server | null;
  let files: number;

  const start = (...argv: string[]): Running => {
    const command = new Running(argv);
    running.push(command);
    return command;
  };
  const startHost = async (...flags: string[]): Promise<Running> => {
    const host = start('host', '--vhost-user', socket, '--rate', 'max', ...flags);
    await host.says('listening');
    return host;
  };
  const guest = (...flags: string[]): Running => start('guest', '--vhost-user', socket, '--resolution', '320x200', ...flags);
  const serve = async (onData: (bytes: Buffer, answer: (bytes: Uint8Array) => void) => void): Promise<void> => {
    server = createServer((connection) => {
      connection.on('data', (bytes) => onData(bytes as Buffer, (answer) => connection.write(answer)));
      connection.on('error', () => connection.destroy());
    });
    await new Promise<void>((resolve) => server?.listen(socket, resolve));
  };

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'scanout-guest-'));
    socket = join(folder, 'gpu.sock');
    running = [];
    child = null;
    server = null;
    files = openFiles();
  });
  afterEach(async () => {
    for (const command of running) command.stop();
    await Promise.all(running.map(({ ended }) => ended));
    child?.kill();
    server?.close();
    rmSync(folder, { recursive: true });
  });

  const kinds: [path: Path, ring: Ring][] = (['udmabuf', 'copy', 'vfio'] as const).flatMap((path) =>
    (['split', 'packed'] as const).map((ring): [Path, Ring] => [path, ring]),
  );
  test.each(kinds)('%s on a %s ring: each frame is shown once, in order, as it was drawn', async (path, ring) => {
    const frames = join(folder, 'frames');
    const flags = ['--once', '--resolution', '160x120', '--ring', ring, '--frames', frames, '--device-region', 'gpu0=0x4000000000'];
    const host = await startHost(...flags);
    const offer = await connectBackEnd(libc, socket, new AbortController().signal);
    const options = { ...DEFAULT_OPTIONS, path, ring, width: 320, height: 200, layout: '4k' as const };
    const plan = planMachine(options, monotonicNowNs());
    const window = { warmupMs: 0, warmupFrames: 0, measureMs: 0, measureFrames: FRAMES, usageWindows: 1 };
    const end = await runVhostUserGuest(libc, offer, plan, window, new AbortController().signal);
    offer.front.close();
    expect(await host.ended, host.text).toBe(0);
    if (end.kind !== 'done') throw new Error(JSON.stringify(end));
    const { report } = end;
    expect([report.failedFrames, report.heldAfterFree, report.gpuBuffersAfterFree]).toEqual([0, 0, 0]);
    const shown = readFileSync(frames, 'utf8').trim().split('\n');
    const seen = shown.map((line) => JSON.parse(line) as { pixel: string; imported: boolean; width: number; height: number });
    expect(seen.length).toBe(report.totalFrames[0]);
    expect(seen.map(({ pixel }) => Number(pixel))).toEqual(seen.map((_, i) => i + 1));
    // As asked for, whatever the display prefers.
    expect(seen.every(({ width, height }) => width === 320 && height === 200)).toBe(true);
    expect(seen.every(({ imported }) => imported === (path !== 'copy'))).toBe(true);
    const log = new FrameLog(plan.frameLog, 1, options.logCapacity);
    const answered = seen.map(
      (_, frame) => log.cells[log.row(0, frame) + (path === 'copy' ? FrameColumn.responseSeen : FrameColumn.fenceSeen)],
    );
    expect(answered.every((time, i) => time > 0 && (i === 0 || time > answered[i - 1]))).toBe(true);
    expect(mappedFiles()).toEqual([]);
  });

  test('says what it measured, and leaves nothing', async () => {
    const host = await startHost();
    const first = guest('--frames', String(FRAMES), '--json');
    expect(await first.ended, first.text).toBe(0);
    const figures = JSON.parse(first.text) as Record<string, unknown>;
    expect(figures).toMatchObject({ path: 'udmabuf', failedFrames: 0, copiedBytes: 0, submitTo: 'fence', backEnd: 'other', display: null });
    const second = guest('--frames', String(FRAMES), '--path', 'readback-copy', '--heads', '1');
    expect(await second.ended, second.text).toBe(0);
    expect(second.text).toMatch(/to response {2}p50 .* [µm]s, p99/);
    expect(second.text.split('\n').every((line) => line.length <= 80)).toBe(true);
    host.stop();
    await host.ended;
    expect(openFiles()).toBe(files);
    expect(mappedFiles()).toEqual([]);
  });

  test('Ctrl-C ends it within moments, with the figures until then', async () => {
    const host = await startHost('--once', '--frames', join(folder, 'frames'));
    const command = guest('--seconds', '0');
    await host.says('connected');
    while (!existsSync(join(folder, 'frames')) || readFileSync(join(folder, 'frames')).length === 0) await turn();
    command.stop();
    expect(await command.ended).toBe(130);
    expect(command.text).toMatch(/frames {7}\d+ in/);
    expect(await host.ended, host.text).toBe(0);
  });

  test('a back end that vanishes ends it with a line', async () => {
    const host = await startHost('--frames', join(folder, 'frames'));
    const command = guest('--seconds', '0');
    while (!existsSync(join(folder, 'frames')) || readFileSync(join(folder, 'frames')).length === 0) await turn();
    host.stop();
    expect(await command.ended).toBe(4);
    expect(command.text).toMatch(/^scanout guest: (the back end is gone|.*hung up)$/m);
    await host.ended;
    expect(openFiles()).toBe(files);
    expect(mappedFiles()).toEqual([]);
  });

  test.each([
    ['a path that needs what is not offered', ['--no-blob'], ['--path', 'udmabuf'], /--path udmabuf needs RESOURCE_BLOB/],
    ['a ring that is not offered', [], ['--ring', 'packed'], /does not offer --ring packed/],
    ['heads that are not there', [], ['--heads', '2'], /--heads 2: the back end has 1/],
    ['pixels that do not come', [], ['--verify'], /give --gpu-socket yes/],
  ])('%s is refused', async (_what, hostFlags, guestFlags, why) => {
    await startHost(...hostFlags);
    const command = guest(...guestFlags);
    expect(await command.ended).toBe(2);
    expect(command.text).toMatch(why);
  });

  test('without a socket, or with a file in its place, it says so', async () => {
    const none = guest();
    expect(await none.ended).toBe(2);
    expect(none.text).toMatch(/no back end at .*: there is no such socket/);
    writeFileSync(socket, '');
    const file = guest();
    expect(await file.ended).toBe(2);
    expect(file.text).toMatch(/nobody listens there any more, or it is no socket/);
    expect(openFiles()).toBe(files);
  });

  test('a back end that does not answer is waited for until Ctrl-C', async () => {
    let asked: () => void = () => {};
    const came = new Promise<void>((resolve) => {
      asked = resolve;
    });
    await serve(() => asked());
    const command = guest();
    await came;
    command.stop();
    expect(await command.ended).toBe(130);
  });

  test.each([
    ['no protocol features', message(VhostUser.GET_FEATURES, VHOST_REPLY, pair(0, 1)), /has no protocol features/],
    ['another answer', message(VhostUser.GET_CONFIG, VHOST_REPLY, pair(0, 0)), /GET_FEATURES is answered by GET_CONFIG/],
    ['an answer that is none', message(VhostUser.GET_FEATURES, 0, pair(0, 0)), /is not marked as one/],
    ['garbage', new Uint8Array(64).fill(0xff), /answer 4294967295 is of version 3/],
  ])('a back end with %s is refused', async (_what, answer, why) => {
    await serve((_bytes, send) => send(answer));
    const command = guest();
    expect(await command.ended).toBe(2);
    expect(command.text).toMatch(why);
  });

  test.each(['udmabuf', 'copy'] as const)('takes the pixels that our host sends of %s, each frame whole', async (path) => {
    const host = await startHost('--sink', 'socket', '--once', ...(path === 'copy' ? ['--no-blob'] : []));
    // So slow that none takes another's place.
    const command = guest('--path', path, '--gpu-socket', 'yes', '--verify', '--json', '--frames', '20', '--rate', '50', '--heads', '1');
    expect(await command.ended, command.text).toBe(0);
    const { display } = JSON.parse(command.text) as { display: Record<string, number> };
    expect(display).toMatchObject({ torn: 0, unordered: 0, bytes: display['updates'] * 320 * 200 * 4, verified: display['updates'] });
    expect(display['updates']).toBeGreaterThanOrEqual(20);
    expect(await host.ended).toBe(0);
    expect(host.text).toMatch(/0 answered with an error/);
  });

  test('is told by a host whose frames go elsewhere that it takes no GPU socket', async () => {
    const host = await startHost('--once');
    const command = guest('--gpu-socket', 'yes');
    expect(await command.ended).toBe(4);
    expect(await host.ended).toBe(4);
    expect(host.text).toContain('GPU_SET_SOCKET, but frames are not sent here: --sink socket and --sink memory use it');
  });

  test("a display process looks at each frame in the guest's memory, and nothing is copied", async () => {
    const host = await startHost('--once', '--sink', 'memory', '--json', '--heads', '2');
    const command = guest(
      '--gpu-socket',
      'memory',
      '--path',
      'udmabuf',
      '--verify',
      '--json',
      '--frames',
      String(FRAMES),
      '--heads',
      '2',
      '--layout',
      '4k',
    );
    expect(await command.ended, command.text).toBe(0);
    const { display, ...figures } = JSON.parse(command.text) as Record<string, unknown> & { display: Record<string, number> };
    expect(figures).toMatchObject({ path: 'udmabuf', failedFrames: 0, copiedBytes: 0 });
    expect(display).toMatchObject({ torn: 0, unordered: 0, bytes: 0, verified: display['updates'] });
    expect(display['updates']).toBeGreaterThanOrEqual(FRAMES);
    expect(await host.ended, host.text).toBe(0);
    const session = JSON.parse(/^\{.*\}$/m.exec(host.text)?.[0] ?? '') as { counters: Record<string, number>; copies: object };
    expect(session).toMatchObject({ session: 1, why: 'hung up', copies: {} });
    expect(session.counters['framesImported']).toBe(display['updates']);
    expect(mappedFiles()).toEqual([]);
  });

  test('what was to be looked at and did not come is no success', async () => {
    await startHost('--sink', 'memory');
    const command = guest('--gpu-socket', 'memory', '--path', 'copy', '--verify', '--frames', '4');
    expect(await command.ended).toBe(4);
    expect(command.text).toContain('--verify, but no pixels came by the GPU socket');
  });

  test('a display that takes no memory ends the session with a line', async () => {
    const host = await startHost('--once', '--sink', 'memory');
    const command = guest('--gpu-socket', 'yes', '--path', 'udmabuf', '--frames', '2');
    expect(await command.ended).toBe(4);
    expect(await host.ended).toBe(4);
    expect(host.text).toContain('--sink socket sends it pixels');
  });

  test.skipIf(!existsSync(QEMU))(`drives QEMU's vhost-user-gpu (${QEMU}: package qemu-system-gui), and the pixels are right`, async () => {
    child = spawn(QEMU, [`--socket-path=${socket}`], { stdio: 'ignore' });
    const gone = new Promise<void>((resolve) => child?.once('exit', () => resolve()));
    while (!existsSync(socket)) await turn();
    const command = guest('--verify', '--json', '--frames', String(FRAMES), '--heads', '2');
    expect(await command.ended, command.text).toBe(0);
    const { display, ...figures } = JSON.parse(command.text) as Record<string, unknown> & { display: Record<string, number> };
    expect(figures).toMatchObject({ backEnd: 'libvhost-user', path: 'copy', failedFrames: 0 });
    expect(display).toMatchObject({ torn: 0, unordered: 0, bytes: display['updates'] * 320 * 200 * 4, verified: display['updates'] });
    expect(display['updates']).toBeGreaterThanOrEqual(FRAMES);
    await gone;
    expect(mappedFiles()).toEqual([]);
  });
});

/** The event loop's next turn: other threads go on meanwhile. */
const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1));

const openFiles = (): number => readdirSync('/proc/self/fd').length;

/** Mappings of the guest's memory files. */
const mappedFiles = (): string[] =>
  readFileSync('/proc/self/maps', 'utf8')
    .split('\n')
    .filter((line) => line.includes('memfd:scanout-'));
