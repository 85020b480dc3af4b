/** What a guest's frames were seen to take, in words. */
const SEEN = [
  ['vfio', 'Frames are read from a PCI device’s memory where they lie.', ({ importedDevice }) => importedDevice > 0],
  ['udmabuf', 'Frames are read from the guest’s RAM where they lie.', ({ imported, importedDevice }) => imported > importedDevice],
  ['copy', 'The guest has its frames transferred: the host copies them into memory of its own.', ({ transfer }) => transfer > 0],
  [
    'copy, import refused',
    'Buffers that the host could not import: it copies their frames into memory of its own.',
    ({ fallback }) => fallback > 0,
  ],
];

const element = (id) => document.querySelector(`#${id}`);

/** Guests of another program, one after the other: what they do is their own, and seen as far as the host sees it. */
export class OtherGuest {
  #page;
  #told = null;
  #head = element('offers').elements['head'];
  #size = element('offers').elements['size'];

  constructor(page) {
    this.#page = page;
    element('offers').addEventListener('submit', (event) => event.preventDefault());
    this.#head.addEventListener('change', () => this.#showOffer());
    this.#size.addEventListener('change', () => page.tell({ display: { head: Number(this.#head.value), size: this.#size.value } }));
  }

  changed(told) {
    const before = this.#told;
    this.#told = told;
    if (before === null || before.connected !== told.connected || before.sessions !== told.sessions) {
      this.#page.restart();
      this.#page.diagram.guest(told);
      this.#showPath('–', '');
      if (!told.connected) this.#page.figures.clear();
    }
    while (this.#head.options.length < told.displays.length) this.#head.add(new Option(String(this.#head.options.length)));
    this.#head.parentElement.hidden = told.displays.length < 2;
    this.#showOffer();
    for (const [head, display] of told.displays.entries()) {
      if (before === null || before.displays[head] === display) continue;
      this.#page.say(`Head ${head} is offered ${display === 'off' ? 'no display' : display}; the guest may take it up.`);
    }
    this.#showState();
  }

  refused() {
    this.#showOffer();
  }

  measured(meter, mean, shown) {
    this.#page.diagram.show(meter, mean, 'none', shown);
    const seen = SEEN.filter(([, , is]) => is(mean));
    const story = seen.map(([, words]) => words).join(' ');
    // A guest that stands still takes the path that it took.
    if (seen.length > 0)
      this.#showPath(seen.map(([name]) => name).join(' + '), mean.copied > 0 ? story : `${story} Nothing is copied before the encoder.`);
    this.#showState();
  }

  #showPath(path, story) {
    element('path').textContent = path;
    element('story').textContent = story;
  }

  #showOffer() {
    const display = this.#told.displays[Number(this.#head.value)];
    if (![...this.#size.options].some(({ value }) => value === display)) {
      const option = new Option(display);
      // Seen, and not to be chosen.
      option.disabled = display === 'off';
      this.#size.add(option);
    }
    this.#size.value = display;
  }

  #showState() {
    const { connected, sessions } = this.#told;
    const isShown = connected && this.#page.shown().length > 0;
    const waits = sessions === 0 ? 'no guest yet' : 'the guest is gone';
    this.#page.state(isShown ? 'running' : connected ? 'a guest is connected, and shows nothing yet' : waits, false);
    const empty = connected ? 'The guest shows nothing yet.' : 'No guest is connected. The next one is shown here, by itself.';
    element('empty').textContent = isShown ? '' : empty;
    element('empty').hidden = isShown;
  }
}
