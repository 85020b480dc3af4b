import { describe, expect, test } from 'vitest';
import {
  backEndMessageFault,
  MAX_CONFIG,
  MAX_PAYLOAD,
  MAX_REGIONS,
  memTable,
  message,
  messageFault,
  pair,
  readMemTable,
  readU64,
  replyFault,
  SHAPES,
  VHOST_HEADER,
  VHOST_NEED_REPLY,
  VHOST_REPLY,
  VHOST_VERSION,
  VhostUser,
  VhostUserBackend,
  writeU64,
} from '../../../core/protocol/vhost-user.ts';

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

describe('a vhost-user message', () => {
  test('is a header of request, flags with the version, and size, then its payload, little-endian', () => {
    expect([...message(VhostUser.SET_VRING_NUM, VHOST_NEED_REPLY, pair(1, 0x1234))]).toEqual([
      ...[8, 0, 0, 0, 9, 0, 0, 0, 8, 0, 0, 0],
      ...[1, 0, 0, 0, 0x34, 0x12, 0, 0],
    ]);
  });

  test('of each known request fits its own shape, and not a byte less or more', () => {
    for (const [request, { name, least, most }] of SHAPES) {
      for (const size of [least, most]) expect(messageFault(request, VHOST_VERSION, size)).toBe(null);
      const sizes = least === most ? `${least}` : `${least} to ${most}`;
      for (const size of [least - 1, most + 1]) {
        expect(messageFault(request, VHOST_VERSION, size)).toBe(`${name} has ${size} bytes, not ${sizes}`);
      }
      expect(VHOST_HEADER + most).toBeLessThanOrEqual(VHOST_HEADER + MAX_PAYLOAD);
    }
  });

  test('of another version, marked as a reply, or of an unknown request is none', () => {
    for (const version of [0, 2, 3]) expect(messageFault(1, version, 0)).toBe(`request 1 is of version ${version}, not 1`);
    expect(messageFault(1, VHOST_VERSION | VHOST_REPLY, 0)).toBe('request 1 is marked as a reply');
    for (const request of [0, 6, 77, 2 ** 32 - 1]) expect(messageFault(request, VHOST_VERSION, 0)).toBe(`request ${request} is unknown`);
    expect(messageFault(1, VHOST_VERSION | VHOST_NEED_REPLY, 0)).toBe(null);
  });

  test('that answers is marked as one, of any size up to the longest payload', () => {
    expect(replyFault(1, VHOST_VERSION | VHOST_REPLY, MAX_PAYLOAD)).toBe(null);
    expect(replyFault(1, VHOST_VERSION | VHOST_REPLY, MAX_PAYLOAD + 1)).toBe(
      `answer 1 has ${MAX_PAYLOAD + 1} bytes; ${MAX_PAYLOAD} are the most`,
    );
    expect(replyFault(1, VHOST_VERSION, 8)).toBe('answer 1 is not marked as one');
    expect(replyFault(1, 2 | VHOST_REPLY, 8)).toBe('answer 1 is of version 2, not 1');
    expect(MAX_PAYLOAD).toBe(12 + MAX_CONFIG);
  });

  test("of a back end's own is a CONFIG_CHANGE without a payload, with or without a wish for an answer", () => {
    const { CONFIG_CHANGE } = VhostUserBackend;
    for (const flags of [VHOST_VERSION, VHOST_VERSION | VHOST_NEED_REPLY]) expect(backEndMessageFault(CONFIG_CHANGE, flags, 0)).toBe(null);
    for (const [request, size] of [
      [1, 0],
      [3, 0],
      [CONFIG_CHANGE, 1],
      [CONFIG_CHANGE, 2 ** 32 - 1],
    ]) {
      expect(backEndMessageFault(request, VHOST_VERSION, size)).toBe(`the back end's request ${request} of ${size} bytes is unknown`);
    }
    for (const flags of [0, 2, VHOST_VERSION | VHOST_REPLY]) {
      expect(backEndMessageFault(CONFIG_CHANGE, flags, 0)).toBe(`the back end's CONFIG_CHANGE has flags 0x${flags.toString(16)}`);
    }
  });
});

describe('a u64 of a message', () => {
  test.each([0, 1, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1])('%d is written and read back', (value) => {
    const view = new DataView(new ArrayBuffer(12));
    writeU64(view, 4, value);
    expect(readU64(view, 4)).toBe(value);
    expect(view.getBigUint64(4, true)).toBe(BigInt(value));
  });

  test.each([2n ** 53n, 2n ** 63n, 2n ** 64n - 1n])('%d, past 2^53 − 1, lies nowhere', (value) => {
    const view = new DataView(new ArrayBuffer(8));
    view.setBigUint64(0, value, true);
    expect(readU64(view, 0)).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('a memory table', () => {
  const regions = Array.from({ length: MAX_REGIONS }, (_, i) => ({
    gpa: i * 4096,
    size: 4096,
    userAddress: 0x7f00_0000_0000 + i * 4096,
    fileOffset: i * 8192,
  }));

  test('is written and read back', () => {
    for (const count of [0, 1, MAX_REGIONS]) {
      const some = regions.slice(0, count);
      expect(readMemTable(viewOf(memTable(some)), count)).toEqual(some);
    }
  });

  test('of more regions than there may be, than it has bytes for, or than file descriptors came with, is none', () => {
    const bytes = memTable(regions);
    const view = viewOf(bytes);
    expect(readMemTable(view, MAX_REGIONS - 1)).toBe('SET_MEM_TABLE names 8 regions and brings 7 file descriptors');
    expect(readMemTable(viewOf(bytes.slice(0, -1)), MAX_REGIONS)).toBe('SET_MEM_TABLE names 8 regions in 263 bytes');
    view.setUint32(0, MAX_REGIONS + 1, true);
    expect(readMemTable(view, MAX_REGIONS + 1)).toBe('SET_MEM_TABLE names 9 regions; 8 are the most');
    view.setUint32(0, 2 ** 32 - 1, true);
    expect(readMemTable(view, 0)).toBe('SET_MEM_TABLE names 4294967295 regions; 8 are the most');
  });
});
