import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createSharedMemory, MemoryRegion } from '../../../core/memory/region.ts';
import { SegmentList } from '../../../core/memory/segments.ts';
import type { ScanoutImage } from '../../../core/sink/sink.ts';
import { FrameList } from '../../../workers/vhost-user/frames.ts';

const WIDTH = 64;
const HEIGHT = 32;
const BYTES = WIDTH * HEIGHT * 4;

interface Line {
  readonly pixel: string | null;
  readonly colours: number;
  readonly hash: string;
}

let folder: string;
let region: MemoryRegion;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'scanout-frames-'));
  region = new MemoryRegion({
    ...({ id: 0, name: 'ram', kind: 'ram', gpa: 0, size: BYTES, device: null, bar: null } as const),
    memory: createSharedMemory(BYTES),
  });
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Laid in two pieces, the second half first. */
const image = (from = 0): ScanoutImage => {
  const segments = new SegmentList();
  segments.append(region, BYTES / 2, BYTES / 2);
  segments.append(region, from, BYTES / 2);
  return { width: WIDTH, height: HEIGHT, stride: WIDTH * 4, offset: 0, format: 2, segments, imported: true, resourceId: 3 };
};
/** The lines of frames of these images, with what `draw` does before each. */
const lines = (images: readonly ScanoutImage[], draw: (index: number) => void): Line[] => {
  const path = join(folder, 'frames');
  const list = new FrameList(path);
  images.forEach((one, index) => {
    draw(index);
    list.note(0, index, index * 1000, one);
  });
  list.close();
  const text = readFileSync(path, 'utf8').split('\n').slice(0, -1);
  return text.map((line) => JSON.parse(line) as Line);
};

test('a frame of one colour has one; one more pixel of another colour, wherever its memory lies, is seen in the count and in the hash', () => {
  const seen = lines([image(), image(), image(), image()], (index) => {
    if (index === 0) region.u32.fill(0xff00ff00);
    // Row 17, column 34: in the piece that lies first in memory.
    if (index === 2) region.u32[(17 - HEIGHT / 2) * WIDTH + 34] = 0x12;
    if (index === 3) region.u32[BYTES / 8] = 0xabc;
  });
  expect(seen.map(({ colours }) => colours)).toEqual([1, 1, 2, 2]);
  expect(seen[0]).toMatchObject({ frame: 0, resource: 3, width: WIDTH, imported: true, segments: 2, pixel: '0xff00ff00' });
  expect(seen[1].hash).toBe(seen[0].hash);
  expect(seen[2].hash).not.toBe(seen[0].hash);
  expect(seen[3]).toMatchObject({ pixel: '0x00000abc', hash: seen[2].hash });
});

test('pixels that a guest lays across words are no pixels, and end nothing', () => {
  const odd = image(2);
  odd.offset = BYTES / 2;
  const [seen] = lines([odd], () => {});
  expect(seen).toMatchObject({ pixel: null, colours: 1 });
});
