import { once } from 'node:events';
import { closeSync, ftruncateSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import koffi from 'koffi';
import { describe, expect, test, vi } from 'vitest';
import { EventSignals, eventFault, ONE_EVENT, SignalWatch } from '../../../workers/native/event-fd.ts';
import { Libc, NativeError, Seal } from '../../../workers/native/libc.ts';
import { FileMappings, fileIdentity } from '../../../workers/native/mapping.ts';
import { POLLOUT, PollSet } from '../../../workers/native/poll.ts';
import { FdSocket, socketAddress } from '../../../workers/native/socket.ts';

const loaded = Libc.load();
const PAGE = 4096;
const MIB = 1024 * 1024;
const maps = (): number => readFileSync('/proc/self/maps', 'utf8').split('\n').length;
/** struct msghdr with `bytes` and as many file descriptors as are wanted, more than FdSocket sends. */
function headerOf(libc: Libc, bytes: Uint8Array, fds: readonly number[]): Uint8Array {
  const control = 16 + 8 * Math.ceil(fds.length / 2);
  const header = new Uint8Array(new SharedArrayBuffer(72 + control + bytes.length));
  const words = new DataView(header.buffer);
  const base = libc.addressOf(header);
  header.set(bytes, 72 + control);
  [0n, 0n, base + 56n, 1n, base + 72n, BigInt(control), 0n, base + BigInt(72 + control), BigInt(bytes.length)].forEach((word, i) => {
    words.setBigUint64(8 * i, word, true);
  });
  words.setBigUint64(72, BigInt(16 + 4 * fds.length), true);
  // SOL_SOCKET, SCM_RIGHTS.
  for (const at of [80, 84]) words.setInt32(at, 1, true);
  fds.forEach((fd, i) => {
    words.setInt32(88 + 4 * i, fd, true);
  });
  return header;
}
const openFiles = (): number => readdirSync('/proc/self/fd').length;

describe.skipIf(typeof loaded === 'string')('native memory and sockets', () => {
  const libc = loaded as Libc;

  describe('a mapped file', () => {
    test('is the file: bytes written by either are seen by the other; afterwards zeros, and the file as it was', () => {
      const mappings = new FileMappings(libc);
      const fd = libc.memfd('file', 4 * PAGE);
      const memory = mappings.map(fd, PAGE, 2 * PAGE);
      const bytes = new Uint8Array(memory.buffer);
      writeSync(fd, Uint8Array.of(7), 0, 1, PAGE + 5);
      expect(bytes[5]).toBe(7);
      bytes[6] = 8;
      mappings.unmap(memory, 2 * PAGE);
      expect([bytes[5], bytes[6], mappings.count]).toEqual([0, 0, 0]);
      bytes[5] = 9;
      const again = new Uint8Array(mappings.map(fd, PAGE, PAGE).buffer);
      expect([again[5], again[6]]).toEqual([7, 8]);
      closeSync(fd);
    });

    test.each([
      ['0 bytes', 0, 0],
      ['a part of a page', 0, 100],
      ['an offset within a page', 100, PAGE],
      ['a negative offset', -PAGE, PAGE],
      ['more than the file has', 0, 3 * PAGE],
      ['a range past its end', PAGE, 2 * PAGE],
      ['more than 4 GiB', 0, 2 ** 32 + PAGE],
      ['no number', 0, Number.POSITIVE_INFINITY],
    ])('cannot be of %s', (_what, offset, bytes) => {
      const mappings = new FileMappings(libc);
      const fd = libc.memfd('file', 2 * PAGE);
      expect(() => mappings.map(fd, offset, bytes)).toThrow(NativeError);
      expect(mappings.count).toBe(0);
      closeSync(fd);
    });

    test('without a seal against shrinking is refused, unless that is asked for', () => {
      const folder = mkdtempSync(join(tmpdir(), 'scanout-native-'));
      const fd = openSync(join(folder, 'plain'), 'w+');
      ftruncateSync(fd, PAGE);
      const mappings = new FileMappings(libc);
      expect(() => mappings.map(fd, 0, PAGE)).toThrow(/F_SEAL_SHRINK/);
      mappings.unmap(mappings.map(fd, 0, PAGE, true), PAGE);
      const sealed = libc.memfd('file', PAGE);
      expect(libc.seals(sealed) & (Seal.SHRINK | Seal.GROW)).toBe(Seal.SHRINK | Seal.GROW);
      expect(() => ftruncateSync(sealed, 0)).toThrow(/EPERM/);
      expect(libc.seals(fd)).toBe(0);
      expect(fileIdentity(fd)).not.toBe(fileIdentity(sealed));
      closeSync(sealed);
      closeSync(fd);
      rmSync(folder, { recursive: true });
    });

    test('that mmap refuses leaves its memory usable for the next', () => {
      const mappings = new FileMappings(libc);
      const folder = openSync('/', 'r');
      const fd = libc.memfd('file', PAGE);
      expect(() => mappings.map(folder, 0, PAGE, true)).toThrow(NativeError);
      const bytes = new Uint8Array(mappings.map(fd, 0, PAGE).buffer);
      bytes.fill(1);
      closeSync(folder);
      closeSync(fd);
    });

    test('of whatever size takes no memory that one of about its size has not left', () => {
      const mappings = new FileMappings(libc);
      const fd = libc.memfd('file', MIB);
      const made = new Set<WebAssembly.Memory>();
      const before = maps();
      for (let bytes = PAGE; bytes <= MIB; bytes += PAGE) {
        const memory = mappings.map(fd, 0, bytes);
        made.add(memory);
        // What was mapped is gone up to its last byte, whatever maps there next.
        new Uint8Array(memory.buffer, 0, bytes).fill(1);
        mappings.unmap(memory, bytes);
        expect(new Uint8Array(memory.buffer).every((byte) => byte === 0)).toBe(true);
      }
      expect(made.size).toBe(5);
      // A memory for each of the 256 sizes would be a map each at least; what V8 itself takes meanwhile is a few.
      expect(maps() - before).toBeLessThan(64);
      closeSync(fd);
    });
  });

  describe('a socket', () => {
    test('carries bytes and file descriptors, and says when the other end is gone', () => {
      const before = openFiles();
      const [a, b] = libc.socketpair().map((fd) => new FdSocket(libc, fd, 64));
      const fd = libc.memfd('sent', PAGE);
      a.send(Uint8Array.of(1, 2, 3), [fd, fd]);
      const into = new Uint8Array(64);
      const fds: number[] = [];
      expect(b.receive(into, 1, 2, fds)).toBe(2);
      expect([...into.subarray(0, 4)]).toEqual([0, 1, 2, 0]);
      expect(fds.map(fileIdentity)).toEqual([fileIdentity(fd), fileIdentity(fd)]);
      expect(b.receive(into, 0, 64, fds)).toBe(1);
      expect(b.receive(into, 0, 64, fds)).toBe(-1);
      a.close();
      expect(b.receive(into, 0, 64, fds)).toBe(0);
      expect(() => b.send(Uint8Array.of(1))).toThrow(/EPIPE/);
      b.closeAll([...fds, fd]);
      b.close();
      expect(openFiles()).toBe(before);
    });

    test('sends no more than it has room for', () => {
      const [a, b] = libc.socketpair().map((fd) => new FdSocket(libc, fd, 16));
      expect(() => a.send(new Uint8Array(17))).toThrow(RangeError);
      expect(() => a.send(new Uint8Array(1), new Array<number>(9).fill(0))).toThrow(RangeError);
      expect(() => {
        for (;;) a.send(new Uint8Array(16));
      }).toThrow(/does not read/);
      a.close();
      b.close();
    });

    test('refuses more file descriptors than a message may bring, and closes those that came', () => {
      const [a, b] = libc.socketpair();
      const event = libc.eventfd();
      const before = openFiles();
      const socket = new FdSocket(libc, b, 64);
      for (const count of [8, 9, 20]) {
        expect(libc.sendmsg(a, headerOf(libc, Uint8Array.of(1), new Array<number>(count).fill(event)), 0)).toBe(1);
        const fds: number[] = [];
        if (count === 8) expect(socket.receive(new Uint8Array(64), 0, 64, fds)).toBe(1);
        else expect(() => socket.receive(new Uint8Array(64), 0, 64, fds)).toThrow(/EMSGSIZE/);
        expect(fds.length).toBe(count === 8 ? 8 : 0);
        socket.closeAll(fds);
        expect(openFiles()).toBe(before);
      }
      for (const fd of [a, b, event]) libc.close(fd);
    });

    test('knows the process at its other end', () => {
      const [a, b] = libc.socketpair();
      const event = libc.eventfd();
      expect([libc.peerProcess(a), libc.peerProcess(b), libc.peerProcess(event)]).toEqual([process.pid, process.pid, 0]);
      for (const fd of [a, b, event]) libc.close(fd);
    });

    test('has a path of 1 to 107 bytes', () => {
      expect(socketAddress('x'.repeat(107)).length).toBe(110);
      for (const path of ['', 'x'.repeat(108), '€'.repeat(36)]) expect(() => socketAddress(path)).toThrow(NativeError);
    });
  });

  describe('an eventfd', () => {
    test('is told from what else a descriptor may be', () => {
      const [a, b] = libc.socketpair();
      const zero = openSync('/dev/zero', 'r+');
      const event = libc.eventfd();
      expect(eventFault(libc, event)).toBe(null);
      for (const fd of [a, zero]) expect(eventFault(libc, fd)).toMatch(/is no eventfd/);
      for (const fd of [a, b, zero, event]) libc.close(fd);
    });

    test('is signalled once more for each signal, and not waited for when it is full', () => {
      const event = libc.eventfd();
      const watch = new SignalWatch(libc);
      const signals = new EventSignals(libc, watch.watched);
      const count = new Uint8Array(8);
      signals.signal(event);
      signals.signal(event);
      libc.read(event, count);
      expect(count[0]).toBe(2);
      libc.write(event, new Uint8Array(new BigUint64Array([0xfffffffffffffffen]).buffer));
      signals.signal(event);
      libc.read(event, count);
      expect(new BigUint64Array(count.buffer)[0]).toBe(0xfffffffffffffffen);
      watch.close();
      libc.close(event);
    });

    test.each([
      ['full and makes writers wait is emptied, so that a thread which signals it', 'signal', 0xfffffffffffffffen],
      ['empty and makes readers wait is signalled, so that a thread which reads it', 'take', 0n],
    ] as const)('that is %s goes on', async (_what, call, holds) => {
      const waiting = koffi.load(null).func('int eventfd(unsigned int value, int flags)')(0, 0) as number;
      libc.write(waiting, new Uint8Array(new BigUint64Array([holds]).buffer));
      const watch = new SignalWatch(libc);
      const worker = new Worker(new URL('../../support/signal-worker.ts', import.meta.url), {
        workerData: { fd: waiting, watched: watch.watched, call },
      });
      // Both may come in one turn.
      const ended = once(worker, 'exit');
      expect((await once(worker, 'message'))[0]).toBe('done');
      await ended;
      watch.close();
      // Nobody waits for it any more, whatever is left in it.
      const count = new Uint8Array(8);
      libc.read(waiting, count);
      expect(libc.read(waiting, count)).toBe(-1);
      libc.close(waiting);
    });

    test('that a thread has done with is left alone: its number may be another file’s', () => {
      vi.useFakeTimers();
      try {
        const touched: string[] = [];
        const watch: SignalWatch = new SignalWatch({
          duplicate: () => {
            // The thread goes on right now.
            Atomics.store(new Int32Array(watch.watched), 0, 0);
            return 1000;
          },
          nonBlocking: (fd: number) => touched.push(`nonBlocking ${fd}`),
          read: (fd: number) => touched.push(`read ${fd}`),
          write: (fd: number) => touched.push(`write ${fd}`),
          close: (fd: number) => touched.push(`close ${fd}`),
        } as unknown as Libc);
        Atomics.store(new Int32Array(watch.watched), 0, 8);
        vi.advanceTimersByTime(1000);
        watch.close();
        expect(touched).toEqual(['close 1000']);
      } finally {
        vi.useRealTimers();
      }
    });
  });

  test('a poll set waits for what it is told, passes over −1, and gives up at its time', () => {
    const event = libc.eventfd();
    const polls = new PollSet(libc, 3);
    polls.set(1, event);
    expect(polls.wait(0)).toBe(0);
    const before = performance.now();
    expect(polls.wait(20e6)).toBe(0);
    expect(performance.now() - before).toBeGreaterThan(15);
    polls.set(2, event, POLLOUT);
    expect(polls.wait(3e9)).toBe(1);
    expect([0, 1, 2].map((place) => polls.isReady(place))).toEqual([false, false, true]);
    libc.write(event, ONE_EVENT);
    expect(polls.wait(3600e9)).toBe(2);
    libc.close(event);
  });
});
