import { accessSync, constants, existsSync, readdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** A build of QEMU's vhost-user-gpu (contrib/vhost-user-gpu) on this machine. */
export interface QemuBuild {
  /** As Debian names the package's version; null: unknown. */
  readonly version: string | null;
  readonly command: string;
  /** Before `--socket-path`. */
  readonly args: readonly string[];
}

/** What a user does who has none. */
export const HOW_TO_GET_QEMU =
  "QEMU's vhost-user-gpu is not installed: apt-get install qemu-system-gui, or set SCANOUT_VHOST_USER_GPU to the program's path";

const PLACES = ['/usr/lib/qemu/vhost-user-gpu', '/usr/libexec/vhost-user-gpu', '/usr/libexec/qemu/vhost-user-gpu'];

/** The machine's own build, or the one that SCANOUT_VHOST_USER_GPU names; null: there is none. */
export function installedQemu(): QemuBuild | null {
  const named = process.env['SCANOUT_VHOST_USER_GPU'];
  const command = named === undefined || named === '' ? PLACES.find((place) => existsSync(place)) : existsSync(named) ? named : undefined;
  if (command === undefined) return null;
  return { version: debianVersion('/var/lib/dpkg/status'), command, args: [] };
}

const LIBRARIES = ['usr/lib/x86_64-linux-gnu', 'lib/x86_64-linux-gnu'];

/** The newer build that the tests with real guests fetch for themselves (`npm run test:interop`); null: they have not. */
export function fetchedQemu(): QemuBuild | null {
  const cache = process.env['SCANOUT_INTEROP_CACHE'] ?? join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'scanout-interop');
  const root = join(cache, 'root');
  const program = join(root, 'usr/lib/qemu/vhost-user-gpu');
  const loader = join(root, 'lib64/ld-linux-x86-64.so.2');
  if (!existsSync(program) || !existsSync(loader)) return null;
  const libraries = LIBRARIES.map((library) => join(root, library)).join(':');
  return {
    version: debianVersion(join(root, 'var/lib/dpkg/status')),
    command: loader,
    args: ['--library-path', libraries, program],
  };
}

/**
 * The device by which QEMU's makes its resources dma-bufs: a render node, else udmabuf, if it can open one
 * (contrib/vhost-user-gpu/vugbm.c, util/drm.c). Then it sends descriptors of them, and no pixels. null: there is none.
 */
export function dmaBufDevice(dev = '/dev'): string | null {
  return [...renderNodes(join(dev, 'dri')), join(dev, 'udmabuf')].find(opens) ?? null;
}

function renderNodes(folder: string): string[] {
  try {
    return readdirSync(folder).flatMap((name) => (name.startsWith('renderD') ? [join(folder, name)] : []));
  } catch {
    return [];
  }
}

function opens(path: string): boolean {
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** Of the package that carries it. */
function debianVersion(status: string): string | null {
  try {
    const text = readFileSync(status, 'utf8');
    for (const name of ['qemu-system-gui', 'qemu-system-x86']) {
      const found = new RegExp(`^Package: ${name}\n(?:.+\n)*?Version: (?:\\d+:)?(\\S+)`, 'm').exec(text);
      if (found !== null) return found[1];
    }
    return null;
  } catch {
    return null;
  }
}
