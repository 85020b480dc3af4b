import { pageAlign } from '../memory/address.ts';
import { createSharedMemory, MemoryRegion } from '../memory/region.ts';
import { Response } from '../protocol/constants.ts';
import { Size } from '../protocol/layout.ts';
import { type Context, STALL } from './context.ts';
import { execute, readRequest } from './dispatch.ts';

/** Where the requests lie while they are carried out: past any guest's memory, below 2^53. */
const SCRATCH_GPA = 2 ** 52;
/** An id of no region of a guest. */
const SCRATCH_ID = 999;

/**
 * Carries out requests once more that a host before this one answered, so that a guest that was not told goes on: resources
 * with their backing, scanouts. Nothing is answered. 2D images are empty until the next TRANSFER.
 * @returns how many were carried out
 */
export function restore(context: Context, requests: readonly Uint8Array[]): number {
  const longest = requests.reduce((most, { length }) => Math.max(most, length), 0);
  if (longest === 0) return 0;
  const size = pageAlign(longest);
  const memory = createSharedMemory(size);
  const scratch = new MemoryRegion({
    id: SCRATCH_ID,
    name: 'restore',
    kind: 'ram',
    gpa: SCRATCH_GPA,
    size,
    device: null,
    bar: null,
    memory,
  });
  const { space } = context.options;
  const { chain } = context;
  let restored = 0;
  space.add(scratch);
  for (const request of requests) {
    scratch.u8.set(request);
    chain.clear();
    chain.setOne(0, SCRATCH_ID, 0, request.length, 0);
    // Room for any answer, which is not written.
    chain.writableBytes = Size.respEdid;
    if (!readRequest(context)) continue;
    const code = execute(context);
    if (code !== STALL && code < Response.ERR_UNSPEC) restored++;
  }
  space.remove(SCRATCH_ID);
  chain.clear();
  return restored;
}
