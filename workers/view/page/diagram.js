/** Lights the way of a frame in the page's drawing. */

import { msText, rateText } from './figures.js';

/** A move takes a millisecond or two: it stays lit for so long, ms. */
const MOVE_SHOWN_MS = 1500;

/** What each path is, in a sentence; and the memory that its guest draws into. */
const PATHS = {
  vfio: ['gpu', 'The encoder reads the guest GPU’s own memory where it lies (VFIO): nothing is copied.'],
  udmabuf: ['ram', 'The guest draws into its RAM, and the encoder reads that where it lies (udmabuf): nothing is copied.'],
  'readback-blob': ['gpu', 'The guest reads its GPU’s memory back into its RAM, one copy; the encoder reads that where it lies.'],
  copy: ['ram', 'The guest draws into its RAM; the host copies each frame into memory of its own.'],
  'readback-copy': [
    'gpu',
    'The guest reads its GPU’s memory back into its RAM, and the host copies that into memory of its own: two copies.',
  ],
};

export const storyOf = (path) => PATHS[path]?.[1] ?? '';

export class Diagram {
  #movedAt = Number.NEGATIVE_INFINITY;
  #path = '';

  /** Another machine runs. */
  machine({ wish }) {
    this.#restart(wish.path);
    set(document.querySelector('#story'), storyOf(wish.path));
  }

  /** Another guest of another program, or none: its path is what is seen of it. */
  guest({ hasDevices }) {
    this.#restart('');
    this.#node('gpu', false, hasDevices ? '' : 'none named to the host');
  }

  /** @param meter what the server says @param mean of some before it, for the words @param move where a move stands @param shown frames shown here a second */
  show(meter, mean, move, shown) {
    const { by, stages } = meter;
    const path = this.#path;
    const drawn = PATHS[path]?.[0];
    const flows = meter.presentedFps > 0;
    const readsGpu = meter.importedDevice > 0;
    const readsRam = meter.imported > meter.importedDevice;
    const copies = by.transfer + by.fallback > 0;
    const readsHost = flows && (copies || !(readsGpu || readsRam));
    if (by.migrate > 0) this.#movedAt = performance.now();
    const moves = performance.now() - this.#movedAt < MOVE_SHOWN_MS;
    const hostCopies = mean.transfer + mean.fallback;
    // Out of the GPU's memory, or into it.
    const isOut = (move === 'out' || move === 'away') !== (path === 'udmabuf');
    document.querySelector('#edge-migrate .way').setAttribute('d', isOut ? 'M44 56V98' : 'M44 100V58');
    this.#edge('migrate', moves ? 'copy' : '', 'moved');
    this.#edge('readback', by.readback > 0 ? 'copy' : '', `${rateText(mean.readback)} read back`);
    this.#edge('transfer', hostCopies > 0 ? 'copy' : '', `${rateText(hostCopies)} ${by.fallback > 0 ? 'fallback' : 'transfer'}`);
    this.#edge('host', readsHost ? 'read' : '', 'read');
    this.#edge('ram', readsRam ? 'read' : '', 'imported');
    this.#edge('gpu', readsGpu ? 'read' : '', 'imported');
    this.#edge('packets', meter.encodedFps > 0 ? 'read' : '', `H.264, ${mean.encodedFps.toFixed(0)} a second`);
    const draws = meter.guestFps > 0 ? `drawn in ${msText(stages.draw)}` : '';
    if (path !== '') this.#node('gpu', drawn === 'gpu' || by.migrate > 0 || readsGpu, drawn === 'gpu' ? draws : '');
    else this.#light('gpu', readsGpu);
    this.#node('ram', flows && (drawn === 'ram' || readsRam || copies || by.readback > 0), drawn === 'ram' ? draws : '');
    this.#node('host', readsHost, hostCopies === 0 ? '' : path === '' ? 'copies of frames' : 'a copy of each frame');
    this.#node('encoder', meter.encodedFps > 0, stages.encode === null ? '' : `${msText(stages.encode)} of CPU a frame`);
    this.#node('browser', shown > 0, shown > 0 ? `${shown.toFixed(0)} shown a second` : '');
  }

  /** Nothing is lit. @param path that the guest is known to take; '': it is not */
  #restart(path) {
    this.#path = path;
    this.#movedAt = Number.NEGATIVE_INFINITY;
    for (const node of ['gpu', 'ram', 'host', 'encoder', 'browser']) this.#node(node, false, '');
    for (const edge of document.querySelectorAll('.edge')) edge.setAttribute('class', 'edge');
  }

  #edge(name, kind, text) {
    const edge = document.querySelector(`#edge-${name}`);
    edge.setAttribute('class', kind === '' ? 'edge' : `edge ${kind}`);
    set(edge.querySelector('text'), kind === '' ? '' : text);
  }

  #node(name, isLit, text) {
    this.#light(name, isLit);
    set(document.querySelector(`#node-${name} .small`), text);
  }

  #light(name, isLit) {
    document.querySelector(`#node-${name}`).classList.toggle('lit', isLit);
  }
}

function set(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
