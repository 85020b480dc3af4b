import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Command } from '../../../core/protocol/constants.ts';
import { RING_KINDS } from '../../support/ring-kinds.ts';
import { BAR, HIGH, PIXELS, Rig } from './rig.ts';

const word = fc.oneof(
  fc.nat(8),
  fc.constantFrom(16, 64, 256, 4096, 16384, 0x7fffffff, 0x80000000, 0xffffffff, HIGH / 2 ** 32, PIXELS, BAR / 2 ** 32),
  fc.nat(0xffffffff),
);
const request = fc.record({
  type: fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...Object.values(Command)) }, { weight: 1, arbitrary: word }),
  flags: fc.constantFrom(0, 0, 1, 3, 0xffffffff),
  words: fc.array(word, { minLength: 0, maxLength: 40 }),
  writable: fc.constantFrom(1056, 1056, 1056, 408, 24, 23, 0),
  ns: fc.nat(1500),
  region: fc.integer({ min: 0, max: 60 }),
});

const kinds = RING_KINDS.flatMap(({ ring, inOrder }) => (['series', 'qemu-10.2'] as const).map((profile) => ({ profile, ring, inOrder })));

test.each(kinds)(
  '$profile, $ring ring, in order: $inOrder: no sequence of requests throws, hangs or leaks, and the device serves afterwards',
  (kind) => {
    const { profile, ring, inOrder } = kind;
    fc.assert(
      fc.property(fc.array(request, { maxLength: 40 }), fc.constantFrom('copy', 'error'), (requests, policy) => {
        const rig = new Rig({
          profile,
          ring,
          inOrder,
          policy: policy as 'copy' | 'error',
          scanoutNs: 1000,
          udmabuf: { listLimit: 2, sizeLimitMb: 64 },
          heads: 2,
        });
        let sent = 0;
        for (const r of requests) {
          rig.post(
            (w, at) => {
              w.fill(0, at, at + 6);
              w[at] = r.type;
              w[at + 1] = r.flags;
              for (let i = 0; i < r.words.length; i++) w[at + 6 + i] = r.words[i];
              return 24 + r.words.length * 4;
            },
            { writable: r.writable },
          );
          sent++;
          if (r.region === 1 || r.region === 2) rig.device.setRegionPresent(r.region, (rig.space.regions[r.region] ?? null) === null);
          rig.advance(r.ns);
          expect(rig.device.needsReset).toBe(false);
          if (rig.control.free < 8) rig.advance(10_000);
        }
        rig.advance(10_000);
        expect(rig.order).toHaveLength(sent);
        for (const id of [1, 2]) rig.device.setRegionPresent(id, true);
        rig.start();
        expect([rig.device.budgetUsed, rig.device.segmentsUsed]).toEqual([0, 0]);
        expect(rig.images.size).toBe(0);
        for (const device of rig.vfio) expect(device.exported).toHaveLength(0);
        expect(rig.serves()).toBe(true);
      }),
      { numRuns: 30 },
    );
  },
);
