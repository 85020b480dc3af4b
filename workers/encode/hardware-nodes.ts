/** Device nodes by which a GPU that could encode is there. Nothing is opened. */
import { readdirSync } from 'node:fs';
import type { Hardware } from '../../core/machine/options.ts';

/** Where each kind's nodes are, and what they are called (Linux: Documentation/gpu/drm-uapi.rst; NVIDIA's driver; WSL's). */
const NODES: Readonly<Record<Hardware, { readonly folder: string; readonly name: RegExp; readonly words: string }>> = {
  vaapi: { folder: '/dev/dri', name: /^renderD\d+$/, words: '/dev/dri/renderD*' },
  nvenc: { folder: '/dev', name: /^(nvidia\d+|dxg)$/, words: '/dev/nvidia*' },
};

/** Paths, the lowest number first. Empty: there is no such hardware, or it is kept from this program. */
export function deviceNodes(hardware: Hardware, root = ''): string[] {
  const { folder, name } = NODES[hardware];
  let found: string[];
  try {
    found = readdirSync(root + folder).filter((entry) => name.test(entry));
  } catch {
    return [];
  }
  const numbers = new Intl.Collator('en', { numeric: true });
  return found.sort((a, b) => numbers.compare(a, b)).map((entry) => `${root}${folder}/${entry}`);
}

/** `no /dev/dri/renderD*`. */
export const noNodes = (hardware: Hardware): string => `no ${NODES[hardware].words}`;
