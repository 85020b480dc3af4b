import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ContractError, LockError } from '../../../core/dmabuf/errors.ts';
import { Fence } from '../../../core/dmabuf/fence.ts';
import { FenceUsage, Reservation } from '../../../core/dmabuf/reservation.ts';

const add = (resv: Reservation, fence: Fence, usage: FenceUsage): void => {
  resv.lock();
  resv.addFence(fence, usage);
  resv.unlock();
};

describe('fence', () => {
  test('a cancelled fence never becomes signalled', () => {
    const fence = new Fence(1, 1);
    fence.cancel();
    fence.signal();
    expect(fence.state).toBe('cancelled');
  });

  test('a signalled fence never becomes cancelled', () => {
    const fence = new Fence(1, 1);
    fence.signal();
    fence.cancel();
    expect(fence.state).toBe('signalled');
  });

  test('a pending fence is not reused', () => {
    expect(() => new Fence(1, 1).reset(2)).toThrow(ContractError);
  });
});

describe('reservation lock', () => {
  test('locking while held throws: it would wait for itself', () => {
    const resv = new Reservation();
    resv.lock();
    expect(() => resv.lock()).toThrow(LockError);
    expect(resv.tryLock()).toBe(false);
    resv.unlock();
    expect(resv.tryLock()).toBe(true);
  });

  test('what needs the lock, and what must not run under it, throws', () => {
    const resv = new Reservation();
    expect(() => resv.assertHeld('map')).toThrow(LockError);
    expect(() => resv.assertNotHeld('get')).not.toThrow();
    resv.lock();
    expect(() => resv.assertHeld('map')).not.toThrow();
    expect(() => resv.assertNotHeld('get')).toThrow(LockError);
  });

  test('unlocking while not held throws', () => {
    expect(() => new Reservation().unlock()).toThrow(LockError);
  });

  test('adding a fence needs the lock; looking at fences does not', () => {
    const resv = new Reservation();
    expect(() => resv.addFence(new Fence(1, 1), FenceUsage.WRITE)).toThrow(LockError);
    expect(resv.idle(FenceUsage.BOOKKEEP)).toBe(true);
    expect(resv.pendingFence(FenceUsage.BOOKKEEP)).toBe(null);
  });
});

describe('reservation fences', () => {
  test('who waits for a usage waits for all of lower value and none of higher', () => {
    for (const added of Object.values(FenceUsage)) {
      const resv = new Reservation();
      const fence = new Fence(1, 1);
      add(resv, fence, added);
      for (const asked of Object.values(FenceUsage)) {
        expect(resv.idle(asked)).toBe(asked < added);
        expect(resv.pendingFence(asked)).toBe(asked < added ? null : fence);
      }
    }
  });

  test('signalled and cancelled fences are both idle', () => {
    const resv = new Reservation();
    const fences = [new Fence(1, 1), new Fence(2, 1)];
    for (const fence of fences) add(resv, fence, FenceUsage.WRITE);
    fences[0].signal();
    expect(resv.pendingFence(FenceUsage.WRITE)).toBe(fences[1]);
    fences[1].cancel();
    expect(resv.idle(FenceUsage.BOOKKEEP)).toBe(true);
  });

  test('a pooled fence reset for another buffer does not make the first buffer busy again', () => {
    const first = new Reservation();
    const second = new Reservation();
    const fence = new Fence(1, 1);
    add(first, fence, FenceUsage.WRITE);
    fence.signal();
    fence.reset(2);
    add(second, fence, FenceUsage.WRITE);
    expect(first.idle(FenceUsage.BOOKKEEP)).toBe(true);
    expect(second.idle(FenceUsage.BOOKKEEP)).toBe(false);
  });

  test('a later fence of the same context replaces one of the same or a weaker usage, not of a stronger one', () => {
    const resv = new Reservation();
    add(resv, new Fence(1, 1), FenceUsage.READ);
    add(resv, new Fence(1, 2), FenceUsage.WRITE);
    expect(resv.fenceCount).toBe(1);
    add(resv, new Fence(1, 3), FenceUsage.BOOKKEEP);
    expect(resv.fenceCount).toBe(2);
    add(resv, new Fence(2, 1), FenceUsage.WRITE);
    expect(resv.fenceCount).toBe(3);
  });

  test('an earlier fence of the same context takes no place of a later one', () => {
    const resv = new Reservation();
    const [earlier, later] = [new Fence(1, 1), new Fence(1, 2)];
    add(resv, later, FenceUsage.WRITE);
    add(resv, earlier, FenceUsage.WRITE);
    earlier.signal();
    expect(resv.pendingFence(FenceUsage.WRITE)).toBe(later);
  });

  test('finished fences are forgotten as new ones come', () => {
    const resv = new Reservation();
    for (let i = 0; i < 1000; i++) {
      const fence = new Fence(i, 1);
      add(resv, fence, FenceUsage.WRITE);
      fence.signal();
    }
    expect(resv.fenceCount).toBe(1);
  });

  test('a reservation is idle exactly when none of the added fences of that usage is pending', () => {
    const step = fc.record({ context: fc.nat(5), usage: fc.constantFrom(...Object.values(FenceUsage)), finish: fc.nat(9) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const resv = new Reservation();
        const all: { fence: Fence; usage: FenceUsage }[] = [];
        steps.forEach(({ context, usage, finish }, i) => {
          const fence = new Fence(context, i);
          add(resv, fence, usage);
          all.push({ fence, usage });
          // Fences of one context finish in order.
          const done = all[finish]?.fence;
          if (done !== undefined) {
            for (const { fence: other } of all) if (other.context === done.context && other.seqno <= done.seqno) other.signal();
          }
          for (const asked of Object.values(FenceUsage)) {
            expect(resv.idle(asked)).toBe(!all.some((entry) => entry.usage <= asked && entry.fence.pending));
          }
        });
      }),
      { numRuns: 200 },
    );
  });
});
