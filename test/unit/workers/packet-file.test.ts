import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readFileSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { PacketFile } from '../../../workers/encode/packet-file.ts';

describe.skipIf(process.platform !== 'linux')('packets of an encoder', () => {
  let folder: string;
  let pipe: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'scanout-packets-'));
    pipe = join(folder, 'pipe');
    execFileSync('mkfifo', [pipe]);
  });
  afterEach(() => rmSync(folder, { recursive: true }));
  const forever = (): boolean => false;

  test('are a file of nothing else, in their order', () => {
    const path = join(folder, 'packets');
    for (const packets of [['old and long'], ['a', 'bc']]) {
      const file = new PacketFile(path, forever);
      for (const packet of packets) file.write(Buffer.from(packet));
      file.close();
    }
    expect(readFileSync(path, 'utf8')).toBe('abc');
  });

  test('are not kept waiting for by a pipe that nobody reads', () => {
    expect(() => new PacketFile(pipe, forever)).toThrow(`${pipe}: nobody reads this pipe`);
  });

  test('that a pipe has no room for wait for its reader, and are whole', () => {
    const reader = openSync(pipe, constants.O_RDONLY | constants.O_NONBLOCK);
    const packet = Buffer.alloc(300_000, 'packet');
    const got: Buffer[] = [];
    const bytes = Buffer.alloc(20_000);
    // Asked each time that the pipe is full.
    const file = new PacketFile(pipe, () => {
      got.push(Buffer.from(bytes.subarray(0, readSync(reader, bytes))));
      return false;
    });
    file.write(packet);
    file.close();
    for (let read = readSync(reader, bytes); read > 0; read = readSync(reader, bytes)) got.push(Buffer.from(bytes.subarray(0, read)));
    closeSync(reader);
    expect(Buffer.concat(got).equals(packet)).toBe(true);
  });

  test('end with a stop, whoever does not read them', () => {
    const reader = openSync(pipe, constants.O_RDONLY | constants.O_NONBLOCK);
    let asked = 0;
    const file = new PacketFile(pipe, () => ++asked === 2);
    file.write(Buffer.alloc(300_000));
    expect(asked).toBe(2);
    file.close();
    closeSync(reader);
  });

  test('whose reader is gone, or whose disk is full, say so with the name of the file', () => {
    const reader = openSync(pipe, constants.O_RDONLY | constants.O_NONBLOCK);
    const file = new PacketFile(pipe, forever);
    closeSync(reader);
    expect(() => file.write(Buffer.from('packet'))).toThrow(`${pipe}: EPIPE`);
    file.close();
    const full = new PacketFile('/dev/full', forever);
    expect(() => full.write(Buffer.from('packet'))).toThrow('/dev/full: ENOSPC');
    full.close();
  });
});
