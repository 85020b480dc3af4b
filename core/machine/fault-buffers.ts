import type { Importer } from '../dmabuf/dma-buf.ts';
import type { GpuBuffer, PassthroughGpu } from '../dmabuf/gpu.ts';
import type { HeadPlan, Surface } from '../guest/compositor.ts';
import { DriverError, Reply, type VirtioGpuDriver } from '../guest/driver.ts';
import { Counter, type Counters } from '../measure/counters.ts';
import { Command, Format, Response } from '../protocol/constants.ts';
import { Size } from '../protocol/layout.ts';
import { writeCreate2d, writeSimple } from '../protocol/write.ts';
import type { GuestFaults } from './fault-guest.ts';
import { REFUSED_SIDE } from './fault-host.ts';
import type { Trigger } from './fault-trigger.ts';

/** Moves of a storm before each frame, and for how many frames it lasts. */
export const STORM_MOVES = 8;
export const STORM_FRAMES = 8;
/** Most buffers that are made to put memory under pressure. */
const HOGS = 256;

/** What of a guest the faults below act on. */
export interface FaultyGuest {
  readonly driver: VirtioGpuDriver;
  readonly gpu: PassthroughGpu;
  readonly heads: readonly HeadPlan[];
  readonly counters: Counters;
}

/** The faults that happen between two frames, when a surface has come free and before it is drawn into. */
export class BufferFaults {
  readonly #guest: FaultyGuest;
  readonly #storm: Trigger;
  readonly #pressure: Trigger;
  readonly #pinned: Trigger;
  readonly #importer: Trigger;
  readonly #full: Trigger;
  readonly #refused: Trigger;
  #stormFrames = 0;

  constructor(guest: FaultyGuest, faults: GuestFaults) {
    this.#guest = guest;
    this.#storm = faults.trigger('move-storm');
    this.#pressure = faults.trigger('memory-pressure');
    this.#pinned = faults.trigger('pinned-move');
    this.#importer = faults.trigger('importer-dies');
    this.#full = faults.trigger('queue-full');
    this.#refused = faults.trigger('host-no-memory');
  }

  onFree(surface: Surface): void {
    const { gpu } = surface;
    if (this.#storm.fires()) this.#stormFrames = STORM_FRAMES;
    if (this.#stormFrames > 0 && gpu !== null) {
      this.#stormFrames--;
      for (let i = 0; i < STORM_MOVES; i++) this.#move(gpu);
    }
    if (gpu !== null && this.#pressure.fires()) this.#press(gpu);
    if (this.#pinned.due) this.#moveShown();
    if (gpu !== null && this.#importer.fires()) this.#importAndDie(gpu);
    if (this.#full.fires()) this.#fillQueue();
    if (this.#refused.fires()) this.#askTooMuch();
  }

  /** To the other placement. @returns whether it moved */
  #move(buffer: GpuBuffer): boolean {
    const { gpu, counters } = this.#guest;
    const moved = buffer.placement === 'vram' ? gpu.evict(buffer) : gpu.restore(buffer);
    counters.add(moved.ok ? Counter.moves : Counter.movesRefused, 1);
    return moved.ok;
  }

  /** Takes all memory where the buffer lies, which evicts what may be evicted, asks for one move more, and gives it back. */
  #press(buffer: GpuBuffer): void {
    const { gpu, counters } = this.#guest;
    const { placement } = buffer;
    const moved = gpu.buffers.reduce((sum, { generation }) => sum + generation, 0);
    const hogs: GpuBuffer[] = [];
    while (hogs.length < HOGS) {
      const made = gpu.createBuffer(buffer.size, placement, '4k');
      if (!made.ok) break;
      hogs.push(made.value);
      if (made.value.placement !== placement) break;
    }
    this.#move(buffer);
    for (const hog of hogs) hog.destroy();
    counters.add(Counter.moves, gpu.buffers.reduce((sum, { generation }) => sum + generation, 0) - moved);
  }

  #moveShown(): void {
    for (const { plane, surfaces } of this.#guest.heads) {
      const shown = surfaces.find(({ framebuffer }) => framebuffer === plane.current);
      if (shown === undefined || shown.gpu === null || !shown.gpu.pinned) continue;
      if (!this.#pinned.fires()) return;
      if (this.#move(shown.gpu)) throw new DriverError('a pinned buffer was moved');
      return;
    }
  }

  /** An importer pins, maps, and is gone without a word. The exporter may not move the buffer before it is reaped. */
  #importAndDie(buffer: GpuBuffer): void {
    const dmabuf = buffer.export();
    const importer: Importer = { name: 'an importer that dies', allowPeer2peer: true, moveNotify: () => {} };
    const attached = dmabuf.attach(importer);
    if (!attached.ok) throw new DriverError(`${importer.name}: ${attached.why}`);
    dmabuf.resv.lock();
    const ready = attached.value.pin().ok && attached.value.map().ok;
    dmabuf.resv.unlock();
    if (!ready || this.#move(buffer)) throw new DriverError('a buffer was moved under its importer');
    dmabuf.reap(attached.value);
    if (!this.#move(buffer)) throw new DriverError('a buffer whose importer has died cannot be moved');
    dmabuf.put();
  }

  /** Commands that nobody waits for, as many as the queue takes: the next commit finds no room. */
  #fillQueue(): void {
    const { driver } = this.#guest;
    const { commands } = driver;
    while (commands.hasRoom(1)) {
      const slot = commands.open();
      const bytes = writeSimple(commands.words, commands.requestWord(slot), Command.GET_DISPLAY_INFO);
      if (!commands.submit(slot, bytes, Size.respDisplayInfo, 0, 0, null, null, 0)) throw new DriverError('the queue had room');
    }
    commands.notify();
  }

  /** A resource that the host has no memory for: refused, nothing kept, so that the same one may be had afterwards. */
  #askTooMuch(): void {
    const { driver } = this.#guest;
    const id = driver.ids.take();
    const first = this.#create(id);
    if (first !== Response.ERR_OUT_OF_MEMORY) throw new DriverError(`a host without memory answered 0x${first.toString(16)}`);
    const second = this.#create(id);
    if (second !== Response.OK_NODATA) throw new DriverError(`a refused resource left something behind: 0x${second.toString(16)}`);
    driver.unref(id);
  }

  #create(id: number): number {
    const { driver } = this.#guest;
    const { commands } = driver;
    const reply = new Reply();
    const slot = driver.openCommand();
    const bytes = writeCreate2d(commands.words, commands.requestWord(slot), id, Format.B8G8R8X8, REFUSED_SIDE, REFUSED_SIDE);
    driver.submit(slot, bytes, Size.header, 0, 0, null, reply, 0);
    commands.notify();
    driver.waitFor(() => reply.done);
    return reply.type;
  }
}
