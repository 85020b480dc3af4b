import { closeSync, constants, openSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { Failure } from '../../../core/dmabuf/errno.ts';
import { UDMABUF_DEFAULTS } from '../../../core/dmabuf/udmabuf.ts';
import type { SideBySide } from '../../../core/host/options.ts';
import { MemoryRegion } from '../../../core/memory/region.ts';
import { SegmentList } from '../../../core/memory/segments.ts';
import { Libc, NativeError } from '../../../workers/native/libc.ts';
import { FileMappings } from '../../../workers/native/mapping.ts';
import {
  DMA_BUF_IOCTL_SYNC,
  UDMABUF_CREATE_LIST,
  type UdmabufCalls,
  type UdmabufOptions,
  UdmabufSideBySide,
} from '../../../workers/native/udmabuf.ts';
import { udmabufAccess } from '../../../workers/native/udmabuf-device.ts';

const loaded = Libc.load();
const PAGE = 4096;
/** open(2): a file without a name. */
const O_TMPFILE = 0o20200000;
/** Of imports: until then the heap grows. */
const WARM_UP = 5000;
const SIZE = 64 * PAGE;
/** Stands for /dev/udmabuf, which these tests do not need. */
const DEVICE = 1_000_000;

test('a device that is not there is absent', () => {
  expect(udmabufAccess('/dev/no-such-device')).toBe('absent');
  expect(udmabufAccess('/dev/null')).toBe('usable');
});

describe.skipIf(typeof loaded === 'string')('pages through /dev/udmabuf, the kernel played by the test', () => {
  const libc = loaded as Libc;

  /** What a udmabuf is asked, and what it answers: a memory file of the size asked for, unless `answer` is an errno. */
  function setUp(answer: string | null = null, options: UdmabufOptions = {}, syncs: readonly (number | string)[] = []) {
    const asked: { fd: number; request: number; words: Uint32Array }[] = [];
    const made: number[] = [];
    const closed: number[] = [];
    const calls: UdmabufCalls & { mapping: string | null } = {
      mapping: null,
      addressOf: (bytes) => libc.addressOf(bytes),
      mapZeros: (address, bytes) => libc.mapZeros(address, bytes),
      seals: (fd) => libc.seals(fd),
      mmapFixed(address, bytes, flags, fd, offset) {
        if (calls.mapping !== null) throw new NativeError('mmap', calls.mapping);
        libc.mmapFixed(address, bytes, flags, fd, offset);
      },
      close(fd) {
        closed.push(fd);
        libc.close(fd);
      },
      ioctl(fd, request, argument) {
        const words = new Uint32Array(argument.slice().buffer);
        asked.push({ fd, request, words });
        if (request === DMA_BUF_IOCTL_SYNC) return syncs[asked.filter((one) => one.request === request).length - 1] ?? 0;
        if (answer !== null) return answer;
        let bytes = 0;
        for (let item = 0; item < words[1]; item++) bytes += words[2 + 6 * item + 4];
        const dmabuf = libc.memfd('dmabuf', bytes);
        made.push(dmabuf);
        return dmabuf;
      },
    };
    const fd = libc.memfd('ram', SIZE);
    const mappings = new FileMappings(libc);
    mappings.keepFiles();
    const memory = mappings.map(fd, 0, SIZE);
    libc.close(fd);
    const plan = { id: 0, name: 'ram', gpa: 0, size: SIZE, memory } as const;
    const ram = new MemoryRegion({ ...plan, kind: 'ram', device: null, bar: null });
    const bar = new MemoryRegion({ ...plan, kind: 'device', device: 'gpu0', bar: 0 });
    const views = new UdmabufSideBySide(calls, DEVICE, ({ memory: one }) => mappings.fileOf(one), {
      limits: () => UDMABUF_DEFAULTS,
      ...options,
    });
    return {
      views,
      calls,
      asked,
      made,
      closed,
      ram,
      bar,
      file: mappings.fileOf(memory)?.fd ?? -1,
      end: () => mappings.unmap(memory, SIZE),
    };
  }

  const list = (region: MemoryRegion, pieces: readonly (readonly [offset: number, bytes: number])[]): SegmentList => {
    const pages = new SegmentList();
    for (const [offset, bytes] of pieces) pages.append(region, offset, bytes);
    return pages;
  };
  const scattered = (region: MemoryRegion): SegmentList =>
    list(region, [
      [6 * PAGE, PAGE],
      [PAGE, 2 * PAGE],
      [0, PAGE],
    ]);
  const failed = (answer: ReturnType<UdmabufSideBySide['map']>): Failure => {
    if (answer === null || !('errno' in answer)) throw new Error('not refused');
    return answer;
  };

  test('are asked for as struct udmabuf_create_list, and the dma-buf is open for reading while the view lives', () => {
    const { views, asked, made, closed, ram, file, end } = setUp();
    const view = views.map(scattered(ram));
    if (view === null || 'errno' in view) throw new Error('refused');
    expect(view.size).toBe(4 * PAGE);
    expect(asked[0]).toMatchObject({ fd: DEVICE, request: UDMABUF_CREATE_LIST });
    const items = [
      [file, 0, 6 * PAGE, 0, PAGE, 0],
      [file, 0, PAGE, 0, 2 * PAGE, 0],
      [file, 0, 0, 0, PAGE, 0],
    ];
    expect([...asked[0].words]).toEqual([1, 3, ...items.flat()]);
    const [dmabuf] = made;
    expect(asked.slice(1)).toEqual([{ fd: dmabuf, request: DMA_BUF_IOCTL_SYNC, words: new Uint32Array([1, 0]) }]);
    expect(readFileSync('/proc/self/maps', 'utf8')).toContain('memfd:dmabuf');
    view.u32[0] = 7;
    views.unmap(view);
    expect(asked.slice(2)).toEqual([{ fd: dmabuf, request: DMA_BUF_IOCTL_SYNC, words: new Uint32Array([5, 0]) }]);
    expect(closed).toEqual([dmabuf]);
    // Zeros, not a hole.
    expect(view.u32[0]).toBe(0);
    expect(readFileSync('/proc/self/maps', 'utf8')).not.toContain('memfd:dmabuf');
    expect(views.count).toBe(0);
    end();
  });

  test('past 4 GiB in their file are asked for by both halves of the offset', () => {
    const { asked, ram, end, calls } = setUp();
    const far = new UdmabufSideBySide(calls, DEVICE, () => ({ fd: 9, offset: 5 * 2 ** 32 + PAGE }), { limits: () => UDMABUF_DEFAULTS });
    const view = far.map(scattered(ram));
    expect([...asked[0].words].slice(2, 8)).toEqual([9, 0, 7 * PAGE, 5, PAGE, 0]);
    if (view !== null && !('errno' in view)) far.unmap(view);
    end();
  });

  const past = [[SIZE - PAGE, 2 * PAGE]] as const;
  const far = Array.from({ length: 1025 }, (_, i) => [(i % 32) * 2 * PAGE, PAGE] as const);
  const rules: [rule: string, errno: string, pieces: readonly (readonly [number, number])[], why: string | RegExp][] = [
    ['more items than list_limit', 'EINVAL', far, '1025 items, list_limit is 1024'],
    ['a misaligned offset', 'EINVAL', [[512, PAGE]], 'item 0: offset 512 is not page-aligned'],
    ['a misaligned size', 'EINVAL', [[0, 512]], 'item 0: size 512 is not page-aligned'],
    ['a range past the end', 'EINVAL', past, 'item 0: past the end of its file'],
    ['what the model takes', 'EINVAL', [[0, PAGE]], 'UDMABUF_CREATE_LIST answers EINVAL to 1 items, 4096 bytes'],
    ['no memory', 'ENOMEM', [[0, PAGE]], /answers ENOMEM/],
    ['no descriptor', 'EMFILE', [[0, PAGE]], /answers EMFILE/],
    ['no file of the system', 'ENFILE', [[0, PAGE]], /answers ENFILE/],
    ['what is no memory file', 'EBADFD', [[0, PAGE]], /answers EBADFD/],
  ];
  test.each(rules)('are refused as by the model: %s, %s', (_rule, errno, pieces, why) => {
    const { views, ram, end } = setUp(errno);
    const failure = failed(views.map(list(ram, pieces)));
    expect(failure.errno).toBe(errno);
    expect(failure.why).toMatch(why);
    expect(views.count).toBe(0);
    end();
  });

  test('are refused as by the model: a file without F_SEAL_SHRINK, and one that is no memory file', () => {
    const { calls, ram, end } = setUp('EINVAL');
    const fd = openSync('/dev/shm', O_TMPFILE | constants.O_RDWR, 0o600);
    const plain = new UdmabufSideBySide(calls, DEVICE, () => ({ fd, offset: 0 }), { limits: () => UDMABUF_DEFAULTS });
    expect(failed(plain.map(scattered(ram)))).toMatchObject({ errno: 'EINVAL', why: 'item 0: F_SEAL_SHRINK is not set' });
    closeSync(fd);
    const none = setUp('EBADFD');
    const other = new UdmabufSideBySide(none.calls, DEVICE, () => ({ fd: -1, offset: 0 }), { limits: () => UDMABUF_DEFAULTS });
    expect(failed(other.map(scattered(ram)))).toMatchObject({ errno: 'EBADFD', why: 'item 0: bad file descriptor' });
    none.end();
    end();
  });

  test('are refused with EOPNOTSUPP where the kernel does not know the request', () => {
    const { views, ram, end } = setUp('ENOTTY');
    expect(failed(views.map(scattered(ram)))).toMatchObject({ errno: 'EOPNOTSUPP', why: expect.stringContaining('ENOTTY') });
    end();
  });

  test('are refused with EMFILE past the number of views, and again had when one ends', () => {
    const { views, ram, end } = setUp(null, { mostViews: 1 });
    const view = views.map(scattered(ram));
    if (view === null || 'errno' in view) throw new Error('refused');
    expect(failed(views.map(scattered(ram))).errno).toBe('EMFILE');
    views.unmap(view);
    const again = views.map(scattered(ram));
    if (again === null || 'errno' in again) throw new Error('refused');
    views.unmap(again);
    end();
  });

  test('whose dma-buf cannot be mapped, or not be read, are refused, and nothing stays', () => {
    const { views, calls, made, closed, ram, end } = setUp(null, {}, ['EIO']);
    calls.mapping = 'ENOMEM';
    expect(failed(views.map(scattered(ram)))).toMatchObject({ errno: 'ENOMEM', why: 'mmap: ENOMEM' });
    calls.mapping = null;
    expect(failed(views.map(scattered(ram)))).toMatchObject({ errno: 'EOPNOTSUPP', why: 'DMA_BUF_IOCTL_SYNC: EIO' });
    expect(closed).toEqual(made);
    expect(readFileSync('/proc/self/maps', 'utf8')).not.toContain('memfd:dmabuf');
    expect(views.count).toBe(0);
    end();
  });

  test('are synchronised again where a signal came in between', () => {
    const { views, asked, ram, end } = setUp(null, {}, ['EINTR', 'EAGAIN', 0, 'EINTR', 0]);
    const view = views.map(scattered(ram));
    if (view === null || 'errno' in view) throw new Error('refused');
    views.unmap(view);
    expect(asked.filter(({ request }) => request === DMA_BUF_IOCTL_SYNC).map(({ words }) => words[0])).toEqual([1, 1, 1, 5, 5]);
    end();
  });

  /** Another way to show pages, which notes what it is asked. */
  class Otherwise implements SideBySide {
    readonly mapped: SegmentList[] = [];
    readonly unmapped: MemoryRegion[] = [];
    readonly #answer: MemoryRegion;
    constructor(answer: MemoryRegion) {
      this.#answer = answer;
    }
    map(pages: SegmentList): MemoryRegion {
      this.mapped.push(pages);
      return this.#answer;
    }
    unmap(view: MemoryRegion): void {
      this.unmapped.push(view);
    }
  }

  test('that the kernel refuses are shown otherwise, where there is another way', () => {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
    const other = new MemoryRegion({ id: 5, name: 'other', kind: 'ram', gpa: 0, size: 65536, device: null, bar: null, memory });
    const otherwise = new Otherwise(other);
    const { views, ram, end } = setUp('EINVAL', { otherwise });
    const pages = scattered(ram);
    expect(views.map(pages)).toBe(other);
    expect(otherwise.mapped).toEqual([pages]);
    views.unmap(other);
    expect(otherwise.unmapped).toEqual([other]);
    end();
  });

  test("of a device's memory, or of memory without a file, are not the kernel's to show", () => {
    const { views, asked, ram, bar, calls, end } = setUp();
    expect(views.map(scattered(bar))).toBeNull();
    expect(new UdmabufSideBySide(calls, DEVICE, () => null).map(scattered(ram))).toBeNull();
    expect(asked).toEqual([]);
    end();
  });

  test('have a file that is kept open as long as it is mapped, where it was asked for', () => {
    const fd = libc.memfd('kept', PAGE);
    const files = new FileMappings(libc);
    const memory = files.map(fd, 0, PAGE);
    expect(files.fileOf(memory)).toBeNull();
    files.unmap(memory, PAGE);
    files.keepFiles();
    const again = files.map(fd, 0, PAGE);
    libc.close(fd);
    const kept = files.fileOf(again)?.fd ?? -1;
    expect(readlinkSync(`/proc/self/fd/${kept}`)).toContain('memfd:kept');
    files.unmap(again, PAGE);
    expect(files.fileOf(again)).toBeNull();
    expect(() => readlinkSync(`/proc/self/fd/${kept}`)).toThrow();
  });

  test('10,000 imports and closes leave maps and files as they were', () => {
    const { views, asked, made, closed, ram, end } = setUp();
    const turn = (i: number): void => {
      const view = views.map(
        list(
          ram,
          Array.from({ length: 2 + (i % 8) }, (_, piece) => [((piece * 13 + i) % 64) * PAGE, PAGE]),
        ),
      );
      if (view === null || 'errno' in view) throw new Error('refused');
      views.unmap(view);
      for (const notes of [asked, made, closed]) notes.length = 0;
    };
    for (let i = 0; i < WARM_UP; i++) turn(i);
    const before = { maps: maps(), files: readdirSync('/proc/self/fd').length };
    for (let i = 0; i < 10_000; i++) turn(i);
    // V8's own heap takes some dozen maps meanwhile; a view that left its one would leave 10,000.
    expect(maps() - before.maps).toBeLessThanOrEqual(100);
    expect(readdirSync('/proc/self/fd').length).toBe(before.files);
    end();
  });
});

const maps = (): number => readFileSync('/proc/self/maps', 'utf8').split('\n').length;
