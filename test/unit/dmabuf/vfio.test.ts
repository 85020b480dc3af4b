import { describe, expect, test } from 'vitest';
import { LockError } from '../../../core/dmabuf/errors.ts';
import { Fence } from '../../../core/dmabuf/fence.ts';
import { FenceUsage } from '../../../core/dmabuf/reservation.ts';
import { VfioDevice, type VfioDmaBufRequest } from '../../../core/dmabuf/vfio.ts';
import type { Wait } from '../../../core/dmabuf/wait.ts';
import { bar, dynamicImporter, errnoOf, must, PAGE, staticImporter } from './fixtures.ts';

const BAR = bar(64);
function device(wait?: Wait): VfioDevice {
  const made = new VfioDevice('gpu0', wait === undefined ? {} : { wait });
  made.addRegion(2, BAR);
  return made;
}
const request = (change: Partial<VfioDmaBufRequest> = {}): VfioDmaBufRequest => ({
  regionIndex: 2,
  openFlags: 0,
  flags: 0,
  ranges: [{ offset: PAGE, length: 2 * PAGE }],
  ...change,
});
const ranges = (offset: number, length: number) => ({ ranges: [{ offset, length }] });

describe('VFIO_DEVICE_FEATURE_DMA_BUF errors (virtio-gpu §3)', () => {
  test.each([
    ['flags', { flags: 1 }],
    ['no ranges', { ranges: [] }],
    ['a length of 0', ranges(0, 0)],
    [
      'a length of 0 after a good range',
      {
        ranges: [
          { offset: 0, length: PAGE },
          { offset: 0, length: 0 },
        ],
      },
    ],
    ['an unaligned offset', ranges(8, PAGE)],
    ['an unaligned length', ranges(0, PAGE + 8)],
    ['an offset that is no number', ranges(Number.NaN, PAGE)],
    ['a negative offset', ranges(-PAGE, PAGE)],
    ['a range past the BAR', ranges(63 * PAGE, 2 * PAGE)],
    ['an offset at the end of the BAR', ranges(64 * PAGE, PAGE)],
    ['an offset past the BAR', ranges(65 * PAGE, PAGE)],
  ])('%s answers EINVAL', (_, change) => {
    const vfio = device();
    expect(errnoOf(vfio.featureDmaBuf(request(change)))).toBe('EINVAL');
    expect(vfio.exported).toEqual([]);
  });

  test('a summed length that overflows answers EINVAL, before any range is looked at', () => {
    const twice = { offset: 2 ** 53 - PAGE, length: 2 ** 52 };
    expect(errnoOf(device().featureDmaBuf(request({ ranges: [twice, twice] })))).toBe('EINVAL');
  });

  test('an address that overflows answers EOVERFLOW', () => {
    expect(errnoOf(device().featureDmaBuf(request(ranges(2 ** 53 - PAGE, PAGE))))).toBe('EOVERFLOW');
  });

  test.each([0, 6, 8, -1, 1.5, Number.NaN])('region %s, no claimed BAR, answers ENODEV', (regionIndex) => {
    expect(errnoOf(device().featureDmaBuf(request({ regionIndex })))).toBe('ENODEV');
  });

  test('only free BARs can be claimed', () => {
    const vfio = device();
    for (const index of [2, 6, -1, 1.5]) expect(() => vfio.addRegion(index, BAR)).toThrow(RangeError);
  });

  test('a closed device exports nothing', () => {
    const vfio = device();
    vfio.close();
    vfio.restore();
    expect(errnoOf(vfio.featureDmaBuf(request()))).toBe('ENODEV');
    expect(vfio.revoked).toBe(true);
  });
});

describe('attaching to VFIO memory', () => {
  test.each([
    ['without peer-to-peer', { name: 'x', allowPeer2peer: false, moveNotify: () => {} }],
    ['without an invalidate callback', { name: 'x', allowPeer2peer: true, moveNotify: null }],
    ['without either', staticImporter],
  ])('an importer %s gets EOPNOTSUPP', (_, importer) => {
    expect(errnoOf(must(device().featureDmaBuf(request())).attach(importer))).toBe('EOPNOTSUPP');
  });

  test("the mapping is the BAR's guest-physical address plus the ranges", () => {
    const dmabuf = must(
      device().featureDmaBuf(
        request({
          ranges: [
            { offset: 8 * PAGE, length: PAGE },
            { offset: 0, length: PAGE },
          ],
        }),
      ),
    );
    const attachment = must(dmabuf.attach(dynamicImporter()));
    dmabuf.resv.lock();
    const table = must(attachment.map());
    expect([...table.address.subarray(0, table.count)]).toEqual([BAR.gpa + 8 * PAGE, BAR.gpa]);
    expect(dmabuf.size).toBe(2 * PAGE);
  });
});

describe('revoking (virtio-gpu §3)', () => {
  test('revoke invalidates, then waits for every fence with the lock held, then, unlocked, for the unmap', () => {
    const log: string[] = [];
    const fence = new Fence(1, 1);
    const vfio = device((done) => {
      log.push(`wait, held ${dmabuf.resv.held}, fence ${fence.state}`);
      if (fence.pending) fence.signal();
      else {
        dmabuf.resv.lock();
        attachment.unmap();
        dmabuf.resv.unlock();
      }
      expect(done()).toBe(true);
    });
    const dmabuf = must(vfio.featureDmaBuf(request()));
    const importer = dynamicImporter(() => {
      log.push(`invalidate, revoked ${dmabuf.revoked}`);
      dmabuf.resv.addFence(fence, FenceUsage.BOOKKEEP);
    });
    const attachment = must(dmabuf.attach(importer));
    dmabuf.resv.lock();
    must(attachment.map());
    dmabuf.resv.unlock();

    expect(errnoOf(vfio.revoke())).toBe('ok');
    expect(log).toEqual(['invalidate, revoked true', 'wait, held true, fence pending', 'wait, held false, fence signalled']);
    expect(dmabuf.resv.held).toBe(false);
  });

  test('an importer that unmaps in its callback needs no wait', () => {
    const vfio = device(() => expect.unreachable());
    const dmabuf = must(vfio.featureDmaBuf(request()));
    const attachment = must(dmabuf.attach(dynamicImporter((own) => own.unmap())));
    dmabuf.resv.lock();
    must(attachment.map());
    dmabuf.resv.unlock();
    expect(errnoOf(vfio.revoke())).toBe('ok');
    expect(dmabuf.mappings).toBe(0);
  });

  test('while revoked attach and map answer ENODEV, creating succeeds; restoring ends that', () => {
    const vfio = device();
    const dmabuf = must(vfio.featureDmaBuf(request()));
    const attachment = must(dmabuf.attach(dynamicImporter()));
    must(vfio.revoke());
    const born = must(vfio.featureDmaBuf(request()));
    const map = () => {
      dmabuf.resv.lock();
      const result = attachment.map();
      dmabuf.resv.unlock();
      return errnoOf(result);
    };
    const answers = () => [errnoOf(dmabuf.attach(dynamicImporter())), errnoOf(born.attach(dynamicImporter())), map()];
    expect(vfio.revoked).toBe(true);
    expect(answers()).toEqual(['ENODEV', 'ENODEV', 'ENODEV']);
    vfio.restore();
    expect(vfio.revoked).toBe(false);
    expect(answers()).toEqual(['ok', 'ok', 'ok']);
  });

  test('an importer that never lets go is reported, and stays revoked', () => {
    const vfio = device();
    const dmabuf = must(vfio.featureDmaBuf(request()));
    const attachment = must(dmabuf.attach(dynamicImporter()));
    dmabuf.resv.lock();
    must(attachment.map());
    dmabuf.resv.unlock();
    expect(errnoOf(vfio.revoke())).toBe('ETIMEDOUT');
    expect(errnoOf(dmabuf.attach(dynamicImporter()))).toBe('ENODEV');
    dmabuf.reap(attachment);
    expect(dmabuf.mappings).toBe(0);
  });

  test('revoking twice invalidates once', () => {
    let calls = 0;
    const vfio = device();
    must(must(vfio.featureDmaBuf(request())).attach(dynamicImporter(() => void calls++)));
    must(vfio.revoke());
    must(vfio.revoke());
    expect(calls).toBe(1);
  });

  test("revoking under a buffer's own lock throws: the kernel would wait for itself", () => {
    const vfio = device();
    must(vfio.featureDmaBuf(request())).resv.lock();
    expect(() => vfio.revoke()).toThrow(LockError);
    expect(vfio.revoked).toBe(false);
  });

  test("restoring under a buffer's own lock throws and restores nothing", () => {
    const vfio = device();
    const dmabuf = must(vfio.featureDmaBuf(request()));
    must(vfio.revoke());
    dmabuf.resv.lock();
    expect(() => vfio.restore()).toThrow(LockError);
    expect([vfio.revoked, dmabuf.revoked]).toEqual([true, true]);
  });

  test('a released buffer is no longer invalidated', () => {
    const vfio = device();
    must(vfio.featureDmaBuf(request())).put();
    expect(vfio.exported).toEqual([]);
    expect(errnoOf(vfio.revoke())).toBe('ok');
  });
});
