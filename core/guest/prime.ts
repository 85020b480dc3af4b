import type { Attachment, DmaBuf } from '../dmabuf/dma-buf.ts';
import type { Errno, Result } from '../dmabuf/errno.ts';
import { FenceUsage } from '../dmabuf/reservation.ts';
import type { SgTable } from '../dmabuf/sg-table.ts';
import { Counter } from '../measure/counters.ts';
import { BlobFlag, BlobMem, Command } from '../protocol/constants.ts';
import { MEM_ENTRY_BYTES, Size } from '../protocol/layout.ts';
import { writeAttachBacking, writeCreateBlob, writeMemEntry, writeResource } from '../protocol/write.ts';
import type { CommandOwner } from './command-queue.ts';
import type { VirtioGpuDriver } from './driver.ts';
import type { GuestResource, ImportedBuffer } from './resource.ts';

const fail = (errno: Errno, why: string): Result<never> => ({ ok: false, errno, why });
const NO_ENTRIES = fail('ENOMEM', 'guest RAM has no room for the memory entries');

/**
 * Imports a dma-buf as a guest blob (virtgpu_prime.c, virtgpu_gem_prime_import).
 * @returns the buffer; ENODEV without the blob feature; what attaching, pinning or mapping it answers otherwise
 */
export function importDmaBuf(driver: VirtioGpuDriver, dmabuf: DmaBuf): Result<GuestResource> {
  const own = driver.exported.get(dmabuf);
  if (own !== undefined) {
    dmabuf.get();
    return { ok: true, value: own };
  }
  if (!driver.hasBlob) return fail('ENODEV', 'importing needs VIRTIO_GPU_F_RESOURCE_BLOB');

  const buffer: ImportedBuffer = {
    kind: 'imported',
    id: driver.ids.take(),
    resv: dmabuf.resv,
    dmabuf,
    attachment: null,
    sg: null,
    created: false,
    attached: false,
    moves: 0,
  };
  dmabuf.get();
  const attached = dmabuf.attach({
    name: 'virtio-gpu',
    allowPeer2peer: true,
    moveNotify: (attachment: Attachment) => moveNotify(driver, buffer, attachment),
  });
  if (!attached.ok) {
    freeImported(driver, buffer);
    return attached;
  }
  buffer.attachment = attached.value;
  const initialised = initialise(driver, buffer, dmabuf, attached.value);
  if (!initialised.ok) {
    freeImported(driver, buffer);
    return initialised;
  }
  return { ok: true, value: buffer };
}

/** virtgpu_dma_buf_init_obj: pin, wait for moves, map, CREATE_BLOB, unpin; the mapping stays. */
function initialise(driver: VirtioGpuDriver, buffer: ImportedBuffer, dmabuf: DmaBuf, attachment: Attachment): Result<void> {
  const { resv } = buffer;
  dmabuf.resv.lock();
  try {
    const pinned = attachment.pin();
    if (!pinned.ok) return pinned;
    driver.waitFor(() => resv.idle(FenceUsage.KERNEL));
    const mapped = attachment.map();
    if (!mapped.ok) {
      attachment.unpin();
      return mapped;
    }
    if (!sendEntries(driver, buffer, dmabuf.size, mapped.value)) {
      attachment.unmap();
      attachment.unpin();
      return NO_ENTRIES;
    }
    buffer.sg = mapped.value;
    buffer.created = true;
    buffer.attached = true;
    attachment.unpin();
    return { ok: true, value: undefined };
  } finally {
    dmabuf.resv.unlock();
  }
}

/**
 * prepare_fb's part for an imported buffer; the reservation is held and the buffer pinned: map again after a
 * move and send ATTACH_BACKING. @returns whether it had to
 */
export function reattach(driver: VirtioGpuDriver, buffer: ImportedBuffer): Result<boolean> {
  if (buffer.attached) return { ok: true, value: false };
  const { attachment } = buffer;
  if (attachment === null) return fail('ENODEV', 'the buffer was freed');
  const { resv } = buffer;
  // The move itself may still be under way on the exporter's engine.
  driver.waitFor(() => resv.idle(FenceUsage.KERNEL));
  const mapped = attachment.map();
  if (!mapped.ok) return mapped;
  if (!sendEntries(driver, buffer, 0, mapped.value)) {
    attachment.unmap();
    return NO_ENTRIES;
  }
  buffer.sg = mapped.value;
  buffer.attached = true;
  driver.counters.add(Counter.reattaches, 1);
  return { ok: true, value: true };
}

/**
 * CREATE_BLOB (first time) or ATTACH_BACKING with one mem_entry per DMA segment; unfenced, not notified by itself.
 * @returns false without memory for the entries: nothing was sent
 */
function sendEntries(driver: VirtioGpuDriver, buffer: ImportedBuffer, size: number, sg: SgTable): boolean {
  const entries = driver.allocateEntries(sg.count);
  if (entries === null) return false;
  const words = entries.region.u32;
  for (let i = 0; i < sg.count; i++) {
    const address = sg.address[i];
    writeMemEntry(words, (entries.offset + i * MEM_ENTRY_BYTES) / 4, address >>> 0, Math.floor(address / 2 ** 32), sg.length[i]);
  }
  const { commands } = driver;
  const slot = driver.openCommand();
  const at = commands.requestWord(slot);
  const bytes = buffer.created
    ? writeAttachBacking(commands.words, at, buffer.id, sg.count)
    : writeCreateBlob(
        commands.words,
        at,
        buffer.id,
        BlobMem.GUEST,
        BlobFlag.SHAREABLE,
        sg.count,
        0,
        0,
        size >>> 0,
        Math.floor(size / 2 ** 32),
      );
  driver.submit(slot, bytes, Size.header, entries.address, sg.count * MEM_ENTRY_BYTES, null, new FreeEntries(entries.free), 0);
  return true;
}

/** The entries' memory is the device's until the response. */
class FreeEntries implements CommandOwner {
  readonly #free: () => void;

  constructor(free: () => void) {
    this.#free = free;
  }

  commandDone(): void {
    this.#free();
  }
}

/** The exporter is about to move or revoke the buffer; it holds the reservation (virtgpu_dma_buf_move_notify). */
function moveNotify(driver: VirtioGpuDriver, buffer: ImportedBuffer, attachment: Attachment): void {
  driver.counters.add(Counter.moveNotifies, 1);
  detachUnmap(driver, buffer, attachment);
}

/** A fenced DETACH_BACKING, waited for without limit with the reservation held, then unmap. */
function detachUnmap(driver: VirtioGpuDriver, buffer: ImportedBuffer, attachment: Attachment): void {
  if (!buffer.created || !buffer.attached) return;
  const { commands } = driver;
  const slot = driver.openCommand();
  const bytes = writeResource(commands.words, commands.requestWord(slot), Command.RESOURCE_DETACH_BACKING, buffer.id);
  const fence = driver.newFence();
  driver.submit(slot, bytes, Size.header, 0, 0, fence, null, 0);
  commands.notify();
  driver.waitFor(() => fence.state !== 'pending');
  attachment.unmap();
  buffer.sg = null;
  buffer.attached = false;
  buffer.moves++;
}

/**
 * Frees an imported buffer, also one whose import failed half-way (virtgpu_dma_buf_free_obj): detach the backing, leave
 * the dma-buf, then UNREF. Blocks until the host has answered. Freeing it again does nothing.
 */
export function freeImported(driver: VirtioGpuDriver, buffer: ImportedBuffer): void {
  const { attachment, dmabuf } = buffer;
  if (dmabuf === null) return;
  // An import that the exporter refused has no attachment to read a reservation from.
  if (attachment !== null) {
    const { resv } = attachment.dmabuf;
    resv.lock();
    try {
      detachUnmap(driver, buffer, attachment);
    } finally {
      resv.unlock();
    }
    dmabuf.detach(attachment);
  }
  buffer.attachment = null;
  buffer.dmabuf = null;
  // Our own reference: after detach the attachment must not be looked at again.
  dmabuf.put();
  if (buffer.created) driver.unref(buffer.id);
}
