/** What a guest did, read from what the host wrote; and the order that the Linux driver keeps. */
import { expect } from 'vitest';
import { BlobMem, type CommandName, Flag } from '../../core/protocol/constants.ts';
import { decodeRequest, type Request, type RequestOf } from '../../core/protocol/request.ts';
import type { Trace } from '../../core/trace/trace.ts';
import type { Frame, Host } from './guest.ts';
import type { Process } from './process.ts';

/** The client's frame i has this plus i in its first pixel. */
const FRAME_BASE = 0xbeef0000;

/** All requests of a queue in their order; one that cannot be decoded fails the test. */
export function requests(trace: Trace, queue = 0): Request[] {
  return trace.records.flatMap((record) => {
    if (record.kind !== 'chain' || record.queue !== queue) return [];
    const request = decodeRequest(record.request);
    if ('error' in request) throw new Error(request.error);
    return [request];
  });
}

export function named<N extends CommandName>(all: readonly Request[], name: N): RequestOf<N>[] {
  return all.filter((request): request is RequestOf<N> => request.name === name);
}

/** The frames that a client drew, of the resources that it used; the console draws others. */
export function drawn(frames: readonly Frame[]): Frame[] {
  return frames.filter(({ pixel }) => Number(pixel) >= FRAME_BASE);
}

/**
 * Each frame of a client's run was shown once, in order, with its own first pixel. Where the driver does not wait for the host
 * (no fence, or one that is over 50 ms late, which the client says), a frame may show what was drawn into its buffer since.
 * @param shown what `drawn` gives, of this run @param last the number of its last frame
 */
export function expectFrames(shown: readonly Frame[], last: number, { buffers = 2, waits = true }: Waiting = {}): void {
  const numbers = shown.map(({ pixel }) => Number(pixel) - FRAME_BASE);
  if (waits) expect(numbers).toEqual(upTo(last));
  expect(numbers).toHaveLength(last + 1);
  expect(numbers.filter((number, i) => number < i || number > last || (number - i) % buffers !== 0)).toEqual([]);
}

interface Waiting {
  /** That the client draws into in turn. */
  readonly buffers?: number;
  /** Whether the driver waited for each frame. */
  readonly waits?: boolean;
}

/** Whether no frame came later than the driver waits. */
export function waited(guest: Process): boolean {
  return !guest.lines.some((line) => line.startsWith('LATE'));
}

/** 0 to `last`. */
export function upTo(last: number): number[] {
  return Array.from({ length: last + 1 }, (_, i) => i);
}

/**
 * Nothing went wrong in the guest: its clients did what they should, and its kernel warned of nothing. It has ended.
 * @param expected a kernel's warning that belongs to the test
 */
export async function expectGoodGuest(guest: Process, clients: readonly string[], expected = /(?!)/): Promise<void> {
  await guest.ended;
  const said = guest.lines.filter((line) => /^(DONE|FAIL|KERNEL|GUEST ENDS)/.test(line) && !expected.test(line));
  expect(said).toEqual([...clients.map((client) => `DONE ${client}`), 'GUEST ENDS']);
}

/** The session ended by the guest's end, and no command was answered with an error. @returns MB copied */
export async function expectGoodSession(host: Host): Promise<number> {
  const { errors, copiedMB } = await host.session();
  expect(host.process.lines).toContain('the front end is gone: hung up');
  expect(errors).toBe(0);
  return copiedMB;
}

/** Fence ids only rise: the driver gives them out in the order of the queue. */
export function expectRisingFences(all: readonly Request[]): void {
  const ids = all.filter(({ flags }) => (flags & Flag.FENCE) !== 0).map(({ fenceLo, fenceHi }) => fenceHi * 2 ** 32 + fenceLo);
  expect(ids).toEqual(Array.from(new Set(ids)).sort((a, b) => a - b));
}

/**
 * The life of an imported buffer: CREATE_BLOB (guest memory, shareable, unfenced), SET_SCANOUT_BLOB and a fenced FLUSH for each
 * frame, no TRANSFER, at its end a fenced DETACH_BACKING, then UNREF.
 * @returns its number of memory entries
 */
export function expectImportedLife(all: readonly Request[], resource: number, bytes: number, flips: number): number {
  const own = all.filter((request) => 'resource' in request && request.resource === resource);
  const [created] = named(own, 'RESOURCE_CREATE_BLOB');
  expect(own[0]).toBe(created);
  expect(created).toMatchObject({ blobMem: BlobMem.GUEST, blobFlags: 2, flags: 0, sizeLo: bytes, sizeHi: 0 });
  expect(created.entries.reduce((sum, { length }) => sum + length, 0)).toBe(bytes);
  const flipping = own.slice(1, -2).map(({ name, flags }) => `${name} ${flags}`);
  expect(flipping).toEqual(Array.from({ length: flips }, () => ['SET_SCANOUT_BLOB 0', `RESOURCE_FLUSH ${Flag.FENCE}`]).flat());
  expect(own.slice(-2).map(({ name, flags }) => `${name} ${flags}`)).toEqual([`RESOURCE_DETACH_BACKING ${Flag.FENCE}`, 'RESOURCE_UNREF 0']);
  return created.entries.length;
}
