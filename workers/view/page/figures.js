/** The figures beneath the window, and a frame's stages. */

/** Of what the server says four times a second the figures are means of so many. */
const MEANS = 8;
const NONE = '–';
const UNKNOWN = 'not known';

/** 0 is said where nothing was copied, and nowhere else. */
export function rateText(bytes) {
  if (bytes === 0) return '0 GB/s';
  if (bytes < 1e3) return `${Math.ceil(bytes)} B/s`;
  if (bytes < 1e6) return `${(bytes / 1e3).toFixed(1)} kB/s`;
  return bytes < 1e7 ? `${(bytes / 1e6).toFixed(2)} MB/s` : `${(bytes / 1e9).toFixed(2)} GB/s`;
}
export const msText = (value) => (value === null || value === undefined ? NONE : `${value.toFixed(value < 9.95 ? 2 : 1)} ms`);

const STAGES = ['draw', 'pickup', 'present', 'answer', 'encode', 'glass'];
const CELLS = [
  ...['copied', 'guest-fps', 'rate', 'p50', 'p99', 'glass50', 'glass99'],
  ...['cpu-guest', 'cpu-host', 'cpu-encoder', 'encoder-copied', 'moves', 'refused'],
];

const element = (id) => document.querySelector(`#${id}`);
const partText = (value) => (value === null ? NONE : `${(100 * value).toFixed(0)} %`);

export class Figures {
  /** Whether the guest is another program's, of which some things cannot be known. */
  isOther = false;
  #meters = [];

  /** Whether the means are of as many as they should be. */
  get isFull() {
    return this.#meters.length === MEANS;
  }

  get isEmpty() {
    return this.#meters.length === 0;
  }

  /** What was is no more: nothing is said until something is measured. */
  restart() {
    this.#meters = [];
  }

  /** Says that there is nothing to say. */
  clear() {
    this.restart();
    for (const id of CELLS) this.#show(element(id), NONE);
    for (const name of STAGES) this.#stage(name, null);
  }

  /** @param glass glass to glass of all who watch; null: not measured yet @param shown frames shown here a second */
  measured(meter, glass, shown) {
    this.#meters.push(meter);
    if (this.#meters.length > MEANS) this.#meters.shift();
    const mean = this.means();
    const texts = {
      copied: rateText(mean.copied),
      'guest-fps': mean.guestFps.toFixed(1),
      rate: shown.toFixed(1),
      p50: msText(meter.p50),
      p99: msText(meter.p99),
      glass50: msText(glass?.p50),
      glass99: msText(glass?.p99),
      'cpu-guest': mean.guest === null && this.isOther ? UNKNOWN : partText(mean.guest),
      'cpu-host': partText(mean.host),
      'cpu-encoder': partText(mean.encoder),
      'encoder-copied': rateText(mean.encoderCopied),
      moves: String(meter.moves),
      refused: String(meter.importsRefused),
    };
    for (const [id, text] of Object.entries(texts)) this.#show(element(id), text);
    const stages = { ...meter.stages, glass: glass?.p50 ?? null };
    for (const name of STAGES) this.#stage(name, stages[name]);
  }

  means() {
    const meters = this.#meters;
    const of = (read) =>
      meters.some((meter) => read(meter) === null) ? null : meters.reduce((sum, meter) => sum + read(meter), 0) / meters.length;
    return {
      copied: of((meter) => meter.copied),
      guestFps: of((meter) => meter.guestFps),
      imported: of((meter) => meter.imported),
      importedDevice: of((meter) => meter.importedDevice),
      guest: of((meter) => meter.cpu.guest),
      host: of((meter) => meter.cpu.host),
      encoder: of((meter) => meter.cpu.encoder),
      encoderCopied: of((meter) => meter.by.encoder),
      readback: of((meter) => meter.by.readback),
      transfer: of((meter) => meter.by.transfer),
      fallback: of((meter) => meter.by.fallback),
      encodedFps: of((meter) => meter.encodedFps),
    };
  }

  #stage(name, value) {
    const stage = element(`stage-${name}`);
    this.#show(stage.querySelector('b'), msText(value));
    stage.classList.toggle('lit', value !== null);
  }

  /** What is marked so cannot be known of another program's guest, whatever was measured. */
  #show(cell, text) {
    const shown = this.isOther && cell.hasAttribute('data-unknown') ? UNKNOWN : text;
    cell.textContent = shown;
    cell.classList.toggle('unknown', shown === UNKNOWN);
  }
}
