import { PAGE_SIZE } from '../memory/address.ts';

/** Whether a byte count or offset of a request, any number at all, is ≥ 0 and a multiple of the page size. */
export function isPageAligned(bytes: number): boolean {
  // Not `%`: on doubles it costs some 20 ns, and long lists are checked here.
  return bytes >= 0 && Math.floor(bytes / PAGE_SIZE) * PAGE_SIZE === bytes;
}
