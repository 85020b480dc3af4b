/**
 * Runs in a guest whose kernel has /dev/udmabuf: a vhost-user host there shows a front end's scattered pages, by each way there
 * is. Says what it saw, a line each, for udmabuf.test.ts to judge.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { ImportBy } from '../../../core/machine/options.ts';
import { writeCreateBlob, writeMemEntry } from '../../../core/protocol/write.ts';
import { Libc } from '../../../workers/native/libc.ts';
import { PIXELS, TestGuest, TestHost } from '../../support/vhost-guest.ts';

const LIST_LIMIT = '/sys/module/udmabuf/parameters/list_limit';
const PAGE = 4096;
/** Where the pages of 64 × 64 pixels lie. */
const PAGES = [6, 1, 4, 9].map((page) => PIXELS + page * PAGE);
const RESOURCE = 2;
const PIXEL = 0xff123456;

const loaded = Libc.load();
if (typeof loaded === 'string') throw new Error(loaded);
const libc = loaded;
const dmabufs = (): number => readFileSync('/proc/self/maps', 'utf8').split('/dmabuf:').length - 1;
const files = (): number => readdirSync('/proc/self/fd').length;

async function session(importBy: ImportBy, listLimit: number): Promise<string> {
  writeFileSync(LIST_LIMIT, `${listLimit}`);
  const frames = '/dev/shm/frames.jsonl';
  const host = await new TestHost({ importBy }, { frames, once: true }).listening();
  const guest = new TestGuest(libc, host).begin();
  guest.send((w, at) => {
    let bytes = writeCreateBlob(w, at, RESOURCE, 1, 2, PAGES.length, 0, 0, PAGES.length * PAGE, 0);
    for (const page of PAGES) bytes += writeMemEntry(w, at + bytes / 4, page, 0, PAGE);
    return bytes;
  });
  guest.setScanout(RESOURCE);
  guest.ram.u32[PAGES[0] / 4] = PIXEL;
  if (!guest.show(RESOURCE, 0)) throw new Error('the frame is refused');
  const during = dmabufs();
  guest.close();
  await host.ending();
  await host.end();
  const frame = JSON.parse(readFileSync(frames, 'utf8').split('\n')[0]) as Record<string, unknown>;
  const { imported, segments, pixel } = frame as { imported: boolean; segments: number; pixel: string };
  return `${imported ? 'imported' : 'copied'}, ${segments} pieces, ${pixel}; ${during} dma-bufs mapped, then ${dmabufs()}`;
}

await session('auto', 1024);
const before = files();
for (const [by, listLimit] of [
  ['auto', 1024],
  ['udmabuf', 1024],
  ['remap', 1024],
  ['list', 1024],
  ['auto', 3],
  ['udmabuf', 3],
] as const) {
  console.log(`HOST ${by}, list_limit ${listLimit}: ${await session(by, listLimit)}`);
}
console.log(`HOSTS ${files() - before} files more`);
writeFileSync(LIST_LIMIT, '1024');
