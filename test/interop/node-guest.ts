import { readdirSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import { type CpioFile, writeInitialFiles } from './cpio.ts';
import { cache, startQemu } from './guest.ts';
import type { Process } from './process.ts';

const PROJECT = join(import.meta.dirname, '../..');
/** Where the project lies in the guest. */
const APP = 'app';
/** Of the project: its sources, and the packages that its threads and native memory need. */
const FOLDERS = [
  ...['core', 'workers', 'benchmarks', 'reports', 'test/interop/guest', 'test/support'],
  ...['node_modules/koffi', 'node_modules/piscina', 'node_modules/@koromix/koffi-linux-x64'],
];
const MEMORY_MB = 1024;

/**
 * A Linux guest that has Node and this program in its initial file system, and no device of its own.
 * @param image where that is written: some 160 MB
 * @param commands what Node is to run one after the other, with their arguments, from the project's folder
 */
export function startNodeGuest(image: string, commands: readonly string[]): Process {
  if (cache === null) throw new Error('nothing is prepared');
  writeInitialFiles(image, join(cache, 'initrd.gz'), nodeAndProject());
  return startQemu([
    ...['-m', `${MEMORY_MB}`, '-smp', '2', '-machine', 'pc', '-cpu', 'max'],
    ...['-kernel', join(cache, 'vmlinuz'), '-initrd', image, '-append', `console=ttyS0 quiet panic=-1 scanout="${commands.join(';')}"`],
  ]);
}

/** This process's own Node and the libraries that it is linked with, and what the project needs. */
function nodeAndProject(): CpioFile[] {
  const report = process.report.getReport() as { sharedObjects: string[] };
  // What has no path is the kernel's own.
  const libraries = report.sharedObjects.filter((path) => /^\/.*\/(lib|ld-)[^/]*\.so[^/]*$/.test(path) && !path.includes('node_modules'));
  const files = FOLDERS.flatMap((folder) => filesOf(join(PROJECT, folder)));
  return [
    { path: 'init', content: { file: join(import.meta.dirname, 'guest/node-init') } },
    { path: `${APP}/node`, content: { file: process.execPath } },
    ...libraries.map((file) => ({ path: pathOf(file), content: { file } })),
    ...[...files, join(PROJECT, 'package.json')].map((file) => ({
      path: `${APP}/${relative(PROJECT, file)}`,
      content: { file },
    })),
  ];
}

/** Programs name their loader by its whole path. */
function pathOf(library: string): string {
  const name = basename(library);
  return name.startsWith('ld-') ? `lib64/${name}` : `${APP}/lib/${name}`;
}

function filesOf(folder: string): string[] {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
}
