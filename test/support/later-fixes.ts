/**
 * The five bugs of the driver that were fixed after its merge (virtio-gpu §2), each as a scenario that throws if the bug is
 * there. Run as a program: `node later-fixes.ts NAME`, also from a copy of the tree in which a fix was undone.
 */
import { DmaBuf } from '../../core/dmabuf/dma-buf.ts';
import { Fence } from '../../core/dmabuf/fence.ts';
import { FenceUsage } from '../../core/dmabuf/reservation.ts';
import { Plane } from '../../core/guest/plane.ts';
import { freeImported, importDmaBuf } from '../../core/guest/prime.ts';
import { StampRenderer } from '../../core/guest/renderer.ts';
import type { ImportedBuffer } from '../../core/guest/resource.ts';
import { DEFAULT_OPTIONS } from '../../core/machine/options.ts';
import { Counter } from '../../core/measure/counters.ts';
import { SegmentList } from '../../core/memory/segments.ts';
import { InlineMachine } from '../../workers/inline.ts';
import { must, recordingOps } from '../unit/dmabuf/fixtures.ts';
import { framebuffer, Rig } from '../unit/guest/rig.ts';

type Refusals = NonNullable<Parameters<typeof recordingOps>[1]>;

function foreign(rig: Rig, refuse: Refusals = {}): DmaBuf {
  const pages = new SegmentList();
  pages.append(rig.high, 0, 8192);
  return new DmaBuf(recordingOps([], refuse), pages.length, pages);
}

function imported(rig: Rig, dmabuf: DmaBuf): ImportedBuffer {
  const buffer = must(importDmaBuf(rig.driver, dmabuf));
  if (buffer.kind !== 'imported') throw new Error('not an import');
  rig.driver.commands.notify();
  rig.run();
  return buffer;
}

function assert(holds: boolean, message: string): void {
  if (!holds) throw new Error(message);
}

export const scenarios = {
  /** After dma_buf_detach the attachment was asked for its dma-buf once more. */
  useAfterDetach: () => {
    const rig = new Rig();
    const dmabuf = foreign(rig);
    freeImported(rig.driver, imported(rig, dmabuf));
    assert(dmabuf.refcount === 1, 'the reference was not dropped');
  },

  /** Freeing an import that never got an attachment read the reservation through it. */
  reservationBeforeAttachCheck: () => {
    const rig = new Rig();
    const dmabuf = foreign(rig, { attach: 'EOPNOTSUPP' });
    const refused = importDmaBuf(rig.driver, dmabuf);
    assert(!refused.ok && refused.errno === 'EOPNOTSUPP', "the exporter's errno was lost");
    assert(dmabuf.refcount === 1, 'the reference was not dropped');
  },

  /**
   * The object kept a reservation of its own: a commit did not wait for the exporter's move from VRAM to RAM, and the host
   * showed a buffer whose blit was half done. Here the GPU's engine writes the lower half 4 ms after the move.
   */
  reservationUnset: () => {
    const machine = new InlineMachine({
      ...DEFAULT_OPTIONS,
      path: 'vfio',
      width: 320,
      height: 200,
      sink: 'verify',
      scanoutUs: 2000,
      logCapacity: 64,
      migrateEvery: 1_000_000,
    });
    const { guest, host, clock } = machine;
    const [{ plane, surfaces }] = guest.heads;
    const renderer = new StampRenderer();
    let blitDone: () => void = () => {};
    let blitEnd = Number.POSITIVE_INFINITY;
    const moves = 6;
    for (let frame = 0; frame < 4 * moves; frame++) {
      const { target, framebuffer: fb, gpu } = surfaces[frame % 2];
      renderer.render(target, frame);
      if (frame % 4 === 3 && gpu !== null) {
        must(gpu.placement === 'vram' ? guest.gpu.evict(gpu) : guest.gpu.restore(gpu));
        const pages = target.pages;
        const half = (target.height / 2) * target.stride;
        const words: Uint32Array[] = [];
        const at: number[] = [];
        for (let byte = half; byte < target.height * target.stride; byte += target.stride) {
          const i = pages.find(byte);
          words.push(pages.region[i].u32);
          at.push((pages.offset[i] + byte - pages.start[i]) / 4);
        }
        for (let i = 0; i < at.length; i++) words[i][at[i]] = 0;
        const blit = new Fence(7, frame);
        clock.read();
        blitEnd = clock.slot[0] + 4e6;
        blitDone = () => {
          blitEnd = Number.POSITIVE_INFINITY;
          blitDone = () => {};
          for (let i = 0; i < at.length; i++) words[i][at[i]] = frame + 1;
          blit.signal();
        };
        // The engine finishes by itself: whoever looks at the fence after that time finds it signalled.
        let state: Fence['state'] = 'pending';
        Object.defineProperty(blit, 'state', {
          get: () => {
            clock.read();
            if (state === 'pending' && clock.slot[0] >= blitEnd) blitDone();
            return state;
          },
          set: (value: Fence['state']) => {
            state = value;
          },
        });
        gpu.resv.lock();
        gpu.resv.addFence(blit, FenceUsage.KERNEL);
        gpu.resv.unlock();
      }
      assert(plane.begin(fb, null, guest.log.begin(0, frame)), 'the commit was refused');
      while (!plane.poll()) {
        if (guest.driver.poll() || host.device.poll()) continue;
        clock.advanceTo(Math.min(host.device.deadline[0], blitEnd, plane.deadline[0]));
        clock.read();
        if (clock.slot[0] >= blitEnd) blitDone();
      }
    }
    const torn = host.counters.get(Counter.framesTorn);
    assert(host.counters.get(Counter.framesVerified) === 4 * moves, 'not every frame was looked at');
    assert(guest.counters.get(Counter.reattaches) === moves, 'not every move was seen');
    assert(torn === 0, `${torn} torn frames: the host showed a buffer while it moved`);
  },

  /** prepare_fb pinned, then had no memory for its fence, and left the pin. */
  pinLeaked: () => {
    let fail = true;
    const rig: Rig = new Rig({ guest: { allocateFence: () => (fail ? null : rig.driver.newFence()) } });
    const dmabuf = foreign(rig);
    const buffer = imported(rig, dmabuf);
    const plane = new Plane(rig.driver, 0, null, false);
    assert(!plane.begin(framebuffer(buffer), null, -1), 'the commit went through without a fence');
    assert(plane.lastError?.errno === 'ENOMEM', 'the failure was not reported');
    assert(dmabuf.pins === 0, 'a pin leaked: the buffer can never move again');
    fail = false;
    assert(plane.begin(framebuffer(buffer), null, -1), 'the next commit failed');
    assert(dmabuf.pins === 1, 'one commit, one pin');
  },

  /** The fence that could not be allocated was used all the same. */
  nullFence: () => {
    const rig = new Rig({ guest: { allocateFence: () => null } });
    const refuse: Refusals = {};
    const buffer = imported(rig, foreign(rig, refuse));
    // The error path that gives the fence back is where it is used first.
    refuse.pin = 'ENODEV';
    const plane = new Plane(rig.driver, 0, null, false);
    assert(!plane.begin(framebuffer(buffer), null, -1), 'the commit went through without a fence');
    assert(plane.lastError?.errno === 'ENOMEM', 'the failure was not reported');
  },
} as const;

const name = process.argv[2];
if (name !== undefined && import.meta.filename === process.argv[1]) {
  const scenario = Object.entries(scenarios).find(([known]) => known === name);
  if (scenario === undefined) throw new Error(`no scenario is named ${name}`);
  scenario[1]();
}
