import { closeSync, copyFileSync, openSync, readFileSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

/** A file of an archive: where it lies in the guest, and its content or the file that has it. */
export interface CpioFile {
  /** Without the leading slash. */
  readonly path: string;
  readonly content: string | { readonly file: string };
}

const DIRECTORY = 0o040755;
const PROGRAM = 0o100755;
/** Headers with their names, and contents, begin at multiples of it. */
const ALIGNMENT = 4;
/** After an archive in front, which the kernel takes as ended by zeros. */
const SEAM = 512;

/**
 * Writes an initial file system for Linux: what `base` has, then these files, which replace those of the same name
 * (Documentation/driver-api/early-userspace/buffer-format.rst: archives one after the other, format newc).
 */
export function writeInitialFiles(target: string, base: string, files: readonly CpioFile[]): void {
  copyFileSync(base, target);
  const fd = openSync(target, 'a');
  try {
    writeSync(fd, Buffer.alloc(-readFileSync(base).length & (SEAM - 1)));
    let inode = 1;
    const add = (path: string, mode: number, content: Buffer): void => {
      writeSync(fd, padded(header(path, inode++, mode, content.length)));
      if (content.length > 0) writeSync(fd, padded(content));
    };
    const folders = new Set<string>();
    const addFolder = (path: string): void => {
      if (path === '.' || folders.has(path)) return;
      addFolder(dirname(path));
      folders.add(path);
      add(path, DIRECTORY, Buffer.alloc(0));
    };
    for (const { path, content } of files) {
      addFolder(dirname(path));
      add(path, PROGRAM, typeof content === 'string' ? Buffer.from(content) : readFileSync(content.file));
    }
    add('TRAILER!!!', 0, Buffer.alloc(0));
  } finally {
    closeSync(fd);
  }
}

const padded = (bytes: Buffer): Buffer => Buffer.concat([bytes, Buffer.alloc(-bytes.length & (ALIGNMENT - 1))]);

/** Magic, inode, mode, uid, gid, links, mtime, bytes, four numbers of devices, bytes of the name, check; the name. */
function header(path: string, inode: number, mode: number, bytes: number): Buffer {
  const name = Buffer.from(`${path}\0`);
  const fields = [inode, mode, 0, 0, 1, 0, bytes, 0, 0, 0, 0, name.length, 0];
  return Buffer.concat([Buffer.from(`070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`), name]);
}
