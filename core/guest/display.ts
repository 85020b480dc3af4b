import { Counter } from '../measure/counters.ts';
import { Command, Response } from '../protocol/constants.ts';
import { type Head, readDisplayInfo } from '../protocol/display-info.ts';
import { parseEdid } from '../protocol/edid.ts';
import { Size } from '../protocol/layout.ts';
import { writeGetEdid, writeSimple } from '../protocol/write.ts';
import { type DeviceRegisters, Event } from '../ring/registers.ts';
import type { CommandOwner } from './command-queue.ts';
import type { VirtioGpuDriver } from './driver.ts';

const INFO = -1;
const EDID_BYTES = 1024;
/** Byte of the EDID in its response, after the header, size and padding. */
const EDID_AT = 32;

/**
 * What the host says of its displays: GET_EDID for each scanout and GET_DISPLAY_INFO, at probe and after each
 * config change (virtgpu_kms.c, virtio_gpu_config_changed_work_func).
 */
export class DisplayState implements CommandOwner {
  /** One entry a scanout, as GET_DISPLAY_INFO gave it. */
  heads: Head[] = [];
  /** The preferred mode from each scanout's EDID; null: none or a bad one. */
  readonly modes: ({ width: number; height: number; refreshHz: number } | null)[];
  /** Counts completed refreshes. */
  generation = 0;
  readonly #driver: VirtioGpuDriver;
  readonly #scanouts: number;
  readonly #edid: boolean;
  #outstanding = 0;
  #clearOn: DeviceRegisters | null = null;
  readonly #registers: DeviceRegisters;
  /** Configuration generation that the last refresh began with. */
  #configGeneration = 0;

  constructor(driver: VirtioGpuDriver, registers: DeviceRegisters, scanouts: number, edid: boolean) {
    this.#driver = driver;
    this.#registers = registers;
    this.#scanouts = scanouts;
    this.#edid = edid;
    this.modes = new Array<null>(scanouts).fill(null);
  }

  get refreshing(): boolean {
    return this.#outstanding > 0;
  }

  /** Whether the queue takes a whole refresh now. */
  hasRoom(): boolean {
    return this.#driver.commands.hasRoom(this.#scanouts + 1);
  }

  /** Sends the queries; `refreshing` until all have been answered. */
  refresh(): void {
    const { commands } = this.#driver;
    this.#configGeneration = this.#registers.configGeneration;
    if (this.#edid) {
      for (let scanout = 0; scanout < this.#scanouts; scanout++) {
        const slot = this.#driver.openCommand();
        const bytes = writeGetEdid(commands.words, commands.requestWord(slot), scanout);
        this.#outstanding++;
        this.#driver.submit(slot, bytes, Size.respEdid, 0, 0, null, this, scanout);
      }
    }
    const slot = this.#driver.openCommand();
    const bytes = writeSimple(commands.words, commands.requestWord(slot), Command.GET_DISPLAY_INFO);
    this.#outstanding++;
    this.#driver.submit(slot, bytes, Size.respDisplayInfo, 0, 0, null, this, INFO);
    commands.notify();
  }

  /**
   * A config interrupt: with a display event, asks again and clears the event *afterwards*. A change that came after the
   * last answer and lost its event bit to that clearing is known by the configuration's generation.
   */
  configChanged(): void {
    const registers = this.#registers;
    if ((registers.eventsRead & Event.DISPLAY) === 0 && registers.configGeneration === this.#configGeneration) return;
    this.#driver.counters.add(Counter.configChanges, 1);
    this.refresh();
    this.#clearOn = registers;
  }

  commandDone(kind: number, response: number, slot: number): void {
    this.#outstanding--;
    const { commands } = this.#driver;
    const at = commands.responseWord(slot);
    if (kind === INFO) {
      if (response === Response.OK_DISPLAY_INFO) this.heads = readDisplayInfo(commands.words, at).slice(0, this.#scanouts);
    } else if (response === Response.OK_EDID) {
      const bytes = new Uint8Array(EDID_BYTES);
      const from = at * 4 + EDID_AT;
      const source = new Uint8Array(commands.words.buffer, from, EDID_BYTES);
      // Word by word out of shared memory: this response is complete and the slot still ours.
      for (let i = 0; i < EDID_BYTES; i++) bytes[i] = source[i];
      const edid = parseEdid(bytes);
      this.modes[kind] = 'error' in edid ? null : edid;
    } else {
      // No display is connected there (any more).
      this.modes[kind] = null;
      this.#driver.counters.add(Counter.edidsRefused, 1);
    }
    if (this.#outstanding === 0) {
      this.generation++;
      const registers = this.#clearOn;
      this.#clearOn = null;
      if (registers !== null) {
        registers.clearEvents(Event.DISPLAY);
        this.#driver.kickHost();
      }
    }
  }
}
