import { describe, expect, test } from 'vitest';
import { type Attachment, DmaBuf } from '../../../core/dmabuf/dma-buf.ts';
import { ContractError, LockError, UseAfterFreeError } from '../../../core/dmabuf/errors.ts';
import { MAX_DMA_SEGMENT, SgTable } from '../../../core/dmabuf/sg-table.ts';
import { dynamicImporter, errnoOf, must, PAGE, ram, recordingOps, segments, staticImporter } from './fixtures.ts';

function setUp(refuse: Parameters<typeof recordingOps>[1] = {}): { log: string[]; dmabuf: DmaBuf; attachment: Attachment } {
  const log: string[] = [];
  const region = ram(8, 0x10000);
  const dmabuf = new DmaBuf(recordingOps(log, refuse), 3 * PAGE, segments(region, 1, 2, 5));
  const attachment = must(dmabuf.attach(dynamicImporter()));
  log.length = 0;
  return { log, dmabuf, attachment };
}

function locked<T>(dmabuf: DmaBuf, run: () => T): T {
  dmabuf.resv.lock();
  try {
    return run();
  } finally {
    dmabuf.resv.unlock();
  }
}

describe('lock rules (virtio-gpu §2)', () => {
  test.each(['pin', 'unpin', 'map', 'unmap'] as const)('%s needs the reservation held', (operation) => {
    const { dmabuf, attachment } = setUp();
    locked(dmabuf, () => {
      must(attachment.pin());
      if (operation === 'unmap') must(attachment.map());
    });
    expect(() => attachment[operation]()).toThrow(LockError);
  });

  test('move_notify needs the reservation held', () => {
    const { dmabuf } = setUp();
    expect(() => dmabuf.moveNotify()).toThrow(LockError);
  });

  test.each(['attach', 'detach', 'get', 'put'] as const)('%s needs the reservation not held', (operation) => {
    const { log, dmabuf, attachment } = setUp();
    dmabuf.resv.lock();
    const run = {
      attach: () => dmabuf.attach(dynamicImporter()),
      detach: () => dmabuf.detach(attachment),
      get: () => dmabuf.get(),
      put: () => dmabuf.put(),
    };
    expect(run[operation]).toThrow(LockError);
    expect(log).toEqual([]);
    expect(dmabuf.refcount).toBe(1);
    expect(dmabuf.attachments).toEqual([attachment]);
  });
});

describe('references', () => {
  test('the last put releases the buffer, an earlier one does not', () => {
    const { log, dmabuf, attachment } = setUp();
    dmabuf.get();
    dmabuf.detach(attachment);
    dmabuf.put();
    expect(log).not.toContain('release');
    dmabuf.put();
    expect(log).toEqual(['detach', 'release']);
    expect(dmabuf.pages.count).toBe(0);
  });

  test('a released buffer is not used', () => {
    const { dmabuf, attachment } = setUp();
    dmabuf.detach(attachment);
    dmabuf.put();
    const uses = [
      () => dmabuf.get(),
      () => dmabuf.put(),
      () => dmabuf.attach(dynamicImporter()),
      () => dmabuf.detach(attachment),
      () => dmabuf.moveNotify(),
    ];
    for (const use of uses) expect(use).toThrow(UseAfterFreeError);
  });

  test('the last put while an importer is attached throws and changes nothing', () => {
    const { dmabuf } = setUp();
    expect(() => dmabuf.put()).toThrow(ContractError);
    expect(dmabuf.refcount).toBe(1);
  });
});

describe('attachment', () => {
  test('its dma-buf cannot be read after detach', () => {
    const { dmabuf, attachment } = setUp();
    expect(attachment.dmabuf).toBe(dmabuf);
    dmabuf.detach(attachment);
    expect(() => attachment.dmabuf).toThrow(UseAfterFreeError);
    expect(() => attachment.pin()).toThrow(UseAfterFreeError);
  });

  test('map gives the guest-physical segments, adjacent pages joined', () => {
    const { dmabuf, attachment } = setUp();
    const table = must(locked(dmabuf, () => attachment.map()));
    expect([...table.address.subarray(0, table.count)]).toEqual([0x11000, 0x15000]);
    expect([...table.length.subarray(0, table.count)]).toEqual([2 * PAGE, PAGE]);
    expect(table.totalBytes).toBe(3 * PAGE);
    expect([attachment.mapped, dmabuf.mappings]).toEqual([true, 1]);
  });

  test('mapping twice, unmapping twice and unpinning too often throw', () => {
    const { dmabuf, attachment } = setUp();
    dmabuf.resv.lock();
    must(attachment.map());
    expect(() => attachment.map()).toThrow(ContractError);
    attachment.unmap();
    expect(() => attachment.unmap()).toThrow(ContractError);
    expect(() => attachment.unpin()).toThrow(ContractError);
    expect([dmabuf.mappings, dmabuf.pins]).toEqual([0, 0]);
  });

  test('detaching while mapped or pinned throws: something leaked', () => {
    const { dmabuf, attachment } = setUp();
    locked(dmabuf, () => must(attachment.pin()));
    expect(() => dmabuf.detach(attachment)).toThrow(/pin leaked/);
    locked(dmabuf, () => {
      attachment.unpin();
      must(attachment.map());
    });
    expect(() => dmabuf.detach(attachment)).toThrow(/mapped/);
  });

  test('a dead importer is reaped with its mapping and pins', () => {
    const { log, dmabuf, attachment } = setUp();
    locked(dmabuf, () => {
      must(attachment.pin());
      must(attachment.pin());
      must(attachment.map());
    });
    log.length = 0;
    dmabuf.reap(attachment);
    expect(log).toEqual(['unmap', 'unpin', 'unpin', 'detach']);
    expect([dmabuf.pins, dmabuf.mappings, dmabuf.attachments.length]).toEqual([0, 0, 0]);
  });

  test('the mapping of an importer that is not dynamic pins the buffer', () => {
    const { log, dmabuf } = setUp();
    const attachment = must(dmabuf.attach(staticImporter));
    log.length = 0;
    locked(dmabuf, () => {
      must(attachment.map());
      expect(dmabuf.pins).toBe(1);
      attachment.unmap();
    });
    expect(log).toEqual(['pin', 'map', 'unmap', 'unpin']);
    dmabuf.resv.lock();
    expect(() => attachment.pin()).toThrow(ContractError);
  });

  test('what the exporter refuses leaves nothing behind', () => {
    const { dmabuf } = setUp({ pin: 'EBUSY', map: 'ENOMEM' });
    const attachment = dmabuf.attachments[0];
    expect(errnoOf(locked(dmabuf, () => attachment.pin()))).toBe('EBUSY');
    expect(errnoOf(locked(dmabuf, () => attachment.map()))).toBe('ENOMEM');
    expect([dmabuf.pins, dmabuf.mappings, attachment.mapped]).toEqual([0, 0, false]);
    const refusing = new DmaBuf(recordingOps([], { attach: 'ENODEV' }), PAGE, segments(ram(1), 0));
    expect(errnoOf(refusing.attach(dynamicImporter()))).toBe('ENODEV');
    expect(refusing.attachments).toEqual([]);
  });

  test('an attachment that the exporter refused is dead', () => {
    const refused: Attachment[] = [];
    const ops = recordingOps([]);
    const attach = (attachment: Attachment) => {
      refused.push(attachment);
      return { ok: false, errno: 'ENODEV', why: 'refused' } as const;
    };
    const dmabuf = new DmaBuf({ ...ops, attach }, PAGE, segments(ram(1), 0));
    expect(errnoOf(dmabuf.attach(dynamicImporter()))).toBe('ENODEV');
    expect(() => refused[0].dmabuf).toThrow(UseAfterFreeError);
  });

  test("detaching another buffer's attachment throws and detaches nobody", () => {
    const { dmabuf, attachment } = setUp();
    expect(() => dmabuf.detach(setUp().attachment)).toThrow(ContractError);
    expect(dmabuf.attachments).toEqual([attachment]);
  });

  test('a static importer maps nothing that could not be pinned, and never unpins by itself', () => {
    const dmabuf = new DmaBuf(recordingOps([], { pin: 'EBUSY' }), PAGE, segments(ram(1), 0));
    const refused = must(dmabuf.attach(staticImporter));
    expect(errnoOf(locked(dmabuf, () => refused.map()))).toBe('EBUSY');
    expect([refused.mapped, dmabuf.mappings]).toEqual([false, 0]);
    const pinning = new DmaBuf(recordingOps([]), PAGE, segments(ram(1), 0));
    const attachment = must(pinning.attach(staticImporter));
    locked(pinning, () => must(attachment.map()));
    expect(() => locked(pinning, () => attachment.unpin())).toThrow(/only unmap unpins/);
    expect(pinning.pins).toBe(1);
  });

  test('the table is empty after unmap', () => {
    const { dmabuf, attachment } = setUp();
    locked(dmabuf, () => {
      expect(must(attachment.map()).count).toBe(2);
      attachment.unmap();
    });
    expect([attachment.table.count, attachment.table.totalBytes]).toEqual([0, 0]);
  });

  test('a static mapping that fails drops its pin', () => {
    const dmabuf = new DmaBuf(recordingOps([], { map: 'ENOMEM' }), PAGE, segments(ram(1), 0));
    const attachment = must(dmabuf.attach(staticImporter));
    expect(errnoOf(locked(dmabuf, () => attachment.map()))).toBe('ENOMEM');
    expect(dmabuf.pins).toBe(0);
  });

  test('move_notify reaches the dynamic importers, the newest first, with the lock held', () => {
    const log: string[] = [];
    const dmabuf = new DmaBuf(recordingOps([]), PAGE, segments(ram(1), 0));
    const note = (name: string) => dynamicImporter((attachment) => void log.push(`${name} ${attachment.dmabuf.resv.held}`), name);
    for (const importer of [note('a'), staticImporter, note('b')]) must(dmabuf.attach(importer));
    locked(dmabuf, () => dmabuf.moveNotify());
    expect(log).toEqual(['b true', 'a true']);
  });
});

describe('scatter table', () => {
  test('grows with its segments, and holds only the last list that it was filled with', () => {
    const table = new SgTable(1);
    for (let i = 0; i < 40; i++) table.append(2 * i * PAGE, PAGE);
    expect([table.count, table.totalBytes, table.address[39], table.length[39]]).toEqual([40, 40 * PAGE, 78 * PAGE, PAGE]);
    const region = ram(8);
    for (let i = 0; i < 2; i++) table.fill(segments(region, 1, 3));
    expect([table.count, table.totalBytes, table.address[1]]).toEqual([2, 2 * PAGE, 3 * PAGE]);
  });

  test('a segment past the longest DMA segment becomes several', () => {
    const table = new SgTable();
    table.append(PAGE, MAX_DMA_SEGMENT + 2 * PAGE);
    expect([...table.length.subarray(0, table.count)]).toEqual([MAX_DMA_SEGMENT, 2 * PAGE]);
    expect(table.address[1]).toBe(PAGE + MAX_DMA_SEGMENT);
    expect(table.totalBytes).toBe(MAX_DMA_SEGMENT + 2 * PAGE);
  });
});
