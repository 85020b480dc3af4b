import { plain } from './format.ts';
import type { Scenario } from './run-document.ts';

/** What a row of a table is called: its path, and what it is beside others of its path: `copy`, `copy, QEMU 7.2`, `copy process, TRANSFER`. */
export function rowName({ path, host, settings = {} }: Scenario): string {
  const { qemu, transferOnly } = settings;
  const who = host === 'threads' ? '' : host === 'qemu' ? `QEMU${typeof qemu === 'string' ? ` ${plain(qemu)}` : ''}` : plain(host);
  const name = who === '' ? path : `${path} ${who}`;
  return transferOnly === true ? `${name}, TRANSFER` : name;
}
