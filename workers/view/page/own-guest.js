import { storyOf } from './diagram.js';
import { msText, rateText } from './figures.js';

/** A change is spoken of once the figures mean something, ms. */
const SAY_MS = 2500;

const element = (id) => document.querySelector(`#${id}`);

/** The program's own guest: what runs can be changed, and a buffer be moved. */
export class OwnGuest {
  #page;
  #machine = null;
  #selects = [...document.querySelectorAll('#wishes select')];
  #saying = 0;

  constructor(page) {
    this.#page = page;
    element('wishes').addEventListener('submit', (event) => event.preventDefault());
    for (const select of this.#selects) select.addEventListener('change', () => page.tell({ set: { [select.name]: select.value } }));
    element('evict').addEventListener('click', () => {
      if (this.#machine.canMove) page.tell({ evict: true });
      else this.#say('The path copy has no buffer of the GPU that could be moved.');
    });
  }

  changed(told) {
    const before = this.#machine;
    const page = this.#page;
    this.#machine = told;
    // Between two machines the last picture stays.
    page.keepPictures(told.phase === 'starting');
    element('evict').setAttribute('aria-disabled', String(!told.canMove));
    this.#showWish();
    page.state(told.phase === 'starting' ? 'another machine starts …' : 'running', false);
    if (before === null || before.phase !== told.phase || before.wish.path !== told.wish.path) {
      page.diagram.machine(told);
      page.restart();
      clearTimeout(this.#saying);
      if (told.phase === 'running') this.#saying = setTimeout(() => this.#saySummary(), SAY_MS);
    }
    if (before !== null && before.migration !== told.migration) this.#sayMove(told.migration);
  }

  refused() {
    clearTimeout(this.#saying);
    this.#showWish();
  }

  measured(meter, mean, shown) {
    this.#page.diagram.show(meter, mean, this.#machine.migration, shown);
    if (this.#page.figures.isFull) this.#showSeen(mean, meter);
  }

  /** The lists say what runs, whatever was chosen. */
  #showWish() {
    for (const select of this.#selects) {
      const value = this.#machine.wish[select.name];
      if (![...select.options].some((option) => option.value === value)) select.add(new Option(value));
      select.value = value;
    }
  }

  #sayMove(migration) {
    const places = ['guest RAM', 'the GPU’s memory'];
    const [here, there] = this.#machine.wish.path === 'udmabuf' ? places : places.reverse();
    if (migration === 'out') this.#say(`Moving a buffer to ${there} …`);
    if (migration === 'away') this.#say(`A buffer was moved to ${there}; it comes back in two seconds.`);
    if (migration === 'none') this.#say(`The buffer is back in ${here}.`);
    if (migration === 'refused') this.#say('The guest could not move the buffer: it is pinned, or there is no room.');
  }

  #saySummary() {
    if (this.#page.figures.isEmpty) return;
    const { guestFps, copied } = this.#page.figures.means();
    const { path, resolution } = this.#machine.wish;
    this.#say(`${path} at ${resolution}: ${guestFps.toFixed(0)} frames a second, ${rateText(copied)} copied.`);
  }

  /** A row a path, of when it ran last. */
  #showSeen(mean, { p50 }) {
    const { path, resolution, rate, layout } = this.#machine.wish;
    let row = element('seen').querySelector(`[data-path="${path}"]`);
    if (row === null) {
      row = document.createElement('tr');
      row.dataset.path = path;
      const heading = document.createElement('th');
      heading.scope = 'row';
      heading.textContent = path;
      heading.title = storyOf(path);
      row.append(heading, ...Array.from({ length: 5 }, () => document.createElement('td')));
      element('seen').append(row);
    }
    for (const other of element('seen').children) other.removeAttribute('aria-current');
    row.setAttribute('aria-current', 'true');
    const cpu = mean.guest === null || mean.host === null ? '–' : `${(100 * (mean.guest + mean.host)).toFixed(0)} %`;
    const cells = [
      `${resolution}, ${rate}${rate === 'max' ? '' : ' Hz'}, ${layout}`,
      mean.guestFps.toFixed(1),
      msText(p50),
      rateText(mean.copied),
      cpu,
    ];
    for (const [at, text] of cells.entries()) row.children[at + 1].textContent = text;
  }

  /** The newest event alone: a summary that waits is of no more interest then. */
  #say(text) {
    clearTimeout(this.#saying);
    this.#page.say(text);
  }
}
