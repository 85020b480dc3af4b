import { describe, expect, test } from 'vitest';
import { Command, Response } from '../../../core/protocol/constants.ts';
import { writeCreate2d, writeResource } from '../../../core/protocol/write.ts';
import type { Chain } from '../../../core/ring/chain.ts';
import { readChain } from '../../../core/ring/chain.ts';
import { frame, HIGH, PIXELS, Rig, type RigOptions, scattered } from './rig.ts';

const OK = Response.OK_NODATA;

/** A rig and the requests that it was sent, control queue only. */
function recorded(options: RigOptions = {}): { rig: Rig; requests: Uint8Array[] } {
  const requests: Uint8Array[] = [];
  const rig: Rig = new Rig({
    ...options,
    observeChain: (queue: number, chain: Chain) => {
      if (queue !== 0) return;
      const request = new Uint8Array(chain.readableBytes);
      readChain(rig.space, chain, 0, request, 0, request.length);
      requests.push(request);
    },
  });
  return { rig, requests };
}

describe('a device that takes over from one before it', () => {
  test('has its resources and scanouts after the same requests, and answers none of them', () => {
    const { rig, requests } = recorded();
    expect(rig.createBlob(2, scattered(HIGH + PIXELS, 4))).toBe(OK);
    expect(rig.create2d(3)).toBe(OK);
    expect(rig.attach(3, frame(HIGH + PIXELS + 65536))).toBe(OK);
    expect(rig.setScanoutBlob(0, 2)).toBe(OK);
    expect(rig.unref(4711)).toBe(Response.ERR_INVALID_RESOURCE_ID);

    const next = new Rig();
    const before = next.answers.size;
    // The last one is refused as before.
    expect(next.device.restore(requests)).toBe(4);
    expect(next.answers.size).toBe(before);
    expect(next.device.resourceCount).toBe(2);
    expect(next.device.budgetUsed).toBe(rig.device.budgetUsed);
    expect(next.flush(2)).toBe(OK);
    expect(next.transfer(3)).toBe(OK);
    expect(next.serves()).toBe(true);
    expect(new Rig().flush(2)).not.toBe(OK);
  });

  test('takes no harm from requests that are none, and leaves nothing in its address space', () => {
    const rig = new Rig();
    const generation = rig.space.regions.filter((region) => region !== null).length;
    const words = new Uint32Array(64);
    writeResource(words, 0, Command.RESOURCE_UNREF, 5);
    const unref = new Uint8Array(words.slice().buffer);
    writeCreate2d(words, 0, 6, 2, 0xffffffff, 0xffffffff);
    const huge = new Uint8Array(words.buffer);
    expect(rig.device.restore([new Uint8Array(0), new Uint8Array(7), unref, huge, new Uint8Array(200_000).fill(0xff)])).toBe(0);
    expect(rig.device.restore([])).toBe(0);
    expect(rig.space.regions.filter((region) => region !== null).length).toBe(generation);
    expect(rig.device.budgetUsed).toBe(0);
    expect(rig.serves()).toBe(true);
  });
});
