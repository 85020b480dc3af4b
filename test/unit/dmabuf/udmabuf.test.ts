import { describe, expect, test } from 'vitest';
import { createUdmabuf, createUdmabufList, Memfd, UDMABUF_DEFAULTS, type UdmabufItem } from '../../../core/dmabuf/udmabuf.ts';
import { dynamicImporter, errnoOf, must, PAGE, ram, staticImporter } from './fixtures.ts';

const region = ram(64, 0x100000);
const memfd = new Memfd(region);
const seals = { shrink: true, write: false, futureWrite: false };
function item(page: number, pages = 1, from: Memfd | null = memfd): UdmabufItem {
  return { memfd: from, offset: page * PAGE, size: pages * PAGE };
}
const create = (...items: UdmabufItem[]) => createUdmabuf(UDMABUF_DEFAULTS, items);

describe('udmabuf errors (virtio-gpu §3)', () => {
  test('list_limit items are accepted, one more answers EINVAL', () => {
    const items = Array.from({ length: 4 }, (_, i) => item(i * 2));
    expect(errnoOf(createUdmabuf({ listLimit: 4, sizeLimitMb: 64 }, items))).toBe('ok');
    const refused = createUdmabuf({ listLimit: 3, sizeLimitMb: 64 }, items);
    expect(errnoOf(refused)).toBe('EINVAL');
    expect(refused).toMatchObject({ why: expect.stringContaining('list_limit is 3') as string });
    expect(UDMABUF_DEFAULTS).toEqual({ listLimit: 1024, sizeLimitMb: 64 });
  });

  test('size_limit_mb is accepted, one page more answers EINVAL', () => {
    const large = new Memfd(ram(257));
    const limits = { listLimit: 1024, sizeLimitMb: 1 };
    expect(errnoOf(createUdmabuf(limits, [item(0, 256, large)]))).toBe('ok');
    expect(createUdmabuf(limits, [item(0, 256, large), item(256, 1, large)])).toMatchObject({
      errno: 'EINVAL',
      why: expect.stringContaining('size_limit_mb is 1') as string,
    });
  });

  test.each([
    ['no items', []],
    ['an empty item alone', [item(0, 0)]],
    ['an empty item among others', [item(0), item(1, 0)]],
    ['a misaligned offset', [{ memfd, offset: 512, size: PAGE }]],
    ['a misaligned size', [{ memfd, offset: 0, size: PAGE + 1 }]],
    ['a negative offset', [{ memfd, offset: -PAGE, size: PAGE }]],
    ['an offset that is no number', [{ memfd, offset: Number.NaN, size: PAGE }]],
    ['a size that is no number', [{ memfd, offset: 0, size: Number.NaN }]],
    ['a range past the end', [item(63, 2)]],
    ['an offset past the end', [item(64)]],
    ['an offset past 2^53', [{ memfd, offset: 2 ** 63, size: PAGE }]],
    ['a file not sealed against shrinking', [item(0, 1, new Memfd(region, { seals: { ...seals, shrink: false } }))]],
    ['a file sealed against writing', [item(0, 1, new Memfd(region, { seals: { ...seals, write: true } }))]],
    ['a file sealed against future writing', [item(0, 1, new Memfd(region, { seals: { ...seals, futureWrite: true } }))]],
  ])('%s answers EINVAL', (_, items) => {
    expect(errnoOf(create(...items))).toBe('EINVAL');
  });

  test.each([
    ['a bad descriptor', null],
    ['a file that is neither shmem nor hugetlbfs', new Memfd(region, { kind: 'other' })],
  ])('%s answers EBADFD', (_, file) => {
    expect(errnoOf(create(item(0, 1, file)))).toBe('EBADFD');
  });

  test('an index past the descriptors answers EBADFD', () => {
    const one = Float64Array.of(PAGE);
    expect(errnoOf(createUdmabufList(UDMABUF_DEFAULTS, [], Int32Array.of(0), one, one, 1))).toBe('EBADFD');
  });

  test('the shape of all items is looked at before any file', () => {
    expect(errnoOf(create(item(0, 1, null), { memfd, offset: 1, size: PAGE }))).toBe('EINVAL');
  });

  test('a memfd smaller than its region ends where it ends', () => {
    const small = new Memfd(region, { size: 2 * PAGE });
    expect(errnoOf(create(item(1, 1, small)))).toBe('ok');
    expect(errnoOf(create(item(1, 2, small)))).toBe('EINVAL');
    expect(() => new Memfd(region, { size: region.size + PAGE })).toThrow(RangeError);
    expect(() => new Memfd(region, { size: -1 })).toThrow(RangeError);
  });
});

describe('udmabuf', () => {
  test('several memfds, hugetlbfs among them, make one buffer', () => {
    const other = ram(4, 0x900000, 3);
    const dmabuf = must(create(item(2), item(1, 2, new Memfd(other, { kind: 'hugetlbfs' })), item(3)));
    expect(dmabuf.size).toBe(4 * PAGE);
    expect(dmabuf.exporterName).toBe('udmabuf');
    expect(dmabuf.pages.region.slice(0, dmabuf.pages.count)).toEqual([region, other, region]);
    dmabuf.put();
  });

  test('any importer may attach, pin and map; the pages never move', () => {
    const dmabuf = must(create(item(7), item(3)));
    for (const importer of [dynamicImporter(), staticImporter]) {
      const attachment = must(dmabuf.attach(importer));
      dmabuf.resv.lock();
      if (attachment.dynamic) must(attachment.pin());
      const table = must(attachment.map());
      expect([...table.address.subarray(0, table.count)]).toEqual([0x107000, 0x103000]);
      attachment.unmap();
      if (attachment.dynamic) attachment.unpin();
      dmabuf.resv.unlock();
      dmabuf.detach(attachment);
    }
    dmabuf.put();
  });

  test('buffers that live at the same time do not share their page lists', () => {
    must(create(item(1))).put();
    const a = must(create(item(2)));
    const b = must(create(item(4)));
    expect([a.pages.offset[0], b.pages.offset[0]]).toEqual([2 * PAGE, 4 * PAGE]);
    a.put();
    const c = must(create(item(6)));
    expect([b.pages.offset[0], c.pages.offset[0], a.pages.count]).toEqual([4 * PAGE, 6 * PAGE, 0]);
  });
});
