import { Connection, whyNoVideo } from './connection.js';
import { Diagram, msText, rateText, storyOf } from './diagram.js';

/** Of what the server says four times a second the figures are means of so many. */
const MEANS = 8;
/** A change is spoken of once the figures mean something, ms. */
const SAY_MS = 2500;

const element = (id) => document.querySelector(`#${id}`);
const selects = [...document.querySelectorAll('#wishes select')];
const diagram = new Diagram();
// Not every browser lets keys reach what scrolls.
element('seen-scroll').tabIndex = 0;
let connection = null;
let machine = null;
let glass = null;
let meters = [];
let saying = 0;

// The token is used up: what is reloaded or copied is the address without it.
history.replaceState(null, '', location.pathname);

const missing = whyNoVideo();
if (missing !== null) state(missing, true);
else connection = new Connection({ heads: element('heads'), say: state, hear });

element('wishes').addEventListener('submit', (event) => event.preventDefault());
for (const select of selects)
  select.addEventListener('change', () => connection?.tell({ type: 'control', wish: { set: { [select.name]: select.value } } }));
element('evict').addEventListener('click', () => {
  if (machine?.canMove) connection?.tell({ type: 'control', wish: { evict: true } });
  else say('The path copy has no buffer of the GPU that could be moved.');
});

function hear(message) {
  if (message.type === 'machine') changed(message);
  else if (message.type === 'meter') measured(message);
  else if (message.type === 'figures') glass = message;
  else if (message.type === 'refused') {
    say(`Not done: ${message.why}.`);
    showWish();
  }
}

function changed(told) {
  const before = machine;
  machine = told;
  // Between two machines the last picture stays.
  connection.keepsPictures = told.phase === 'starting';
  element('evict').setAttribute('aria-disabled', String(!told.canMove));
  showWish();
  state(told.phase === 'starting' ? 'another machine starts …' : 'running', false);
  if (before === null || before.phase !== told.phase || before.wish.path !== told.wish.path) {
    diagram.machine(told);
    meters = [];
    glass = null;
    clearTimeout(saying);
    if (told.phase === 'running') saying = setTimeout(saySummary, SAY_MS);
  }
  if (before !== null && before.migration !== told.migration) sayMove(told.migration);
}

/** The lists say what runs, whatever was chosen. */
function showWish() {
  for (const select of selects) {
    const value = machine?.wish[select.name] ?? '';
    if (![...select.options].some((option) => option.value === value)) select.add(new Option(value));
    select.value = value;
  }
}

function sayMove(migration) {
  const [here, there] = machine.wish.path === 'udmabuf' ? ['guest RAM', 'the GPU’s memory'] : ['the GPU’s memory', 'guest RAM'];
  if (migration === 'out') say(`Moving a buffer to ${there} …`);
  if (migration === 'away') say(`A buffer was moved to ${there}; it comes back in two seconds.`);
  if (migration === 'none') say(`The buffer is back in ${here}.`);
  if (migration === 'refused') say('The guest could not move the buffer: it is pinned, or there is no room.');
}

function saySummary() {
  if (meters.length === 0) return;
  const { guestFps, copied } = means();
  say(`${machine.wish.path} at ${machine.wish.resolution}: ${guestFps.toFixed(0)} frames a second, ${rateText(copied)} copied.`);
}

function measured(meter) {
  meters.push(meter);
  if (meters.length > MEANS) meters.shift();
  const on = connection.views.filter((view) => view.size !== '');
  const shown = on.reduce((sum, view) => sum + view.rate, 0);
  const mean = means();
  diagram.show(meter, mean, machine?.migration, shown);
  const show = (id, text) => {
    element(id).textContent = text;
  };
  const part = (value) => (value === null ? '–' : `${(100 * value).toFixed(0)} %`);
  show('copied', rateText(mean.copied));
  show('guest-fps', mean.guestFps.toFixed(1));
  show('rate', shown.toFixed(1));
  show('p50', msText(meter.p50));
  show('p99', msText(meter.p99));
  show('glass50', msText(glass?.p50));
  show('glass99', msText(glass?.p99));
  show('cpu-guest', part(mean.guest));
  show('cpu-host', part(mean.host));
  show('cpu-encoder', part(mean.encoder));
  show('encoder-copied', rateText(mean.encoderCopied));
  show('moves', String(meter.moves));
  const stages = { ...meter.stages, glass: glass?.p50 ?? null };
  for (const [name, value] of Object.entries(stages)) {
    element(`stage-${name}`).querySelector('b').textContent = msText(value);
    element(`stage-${name}`).classList.toggle('lit', value !== null);
  }
  if (meters.length === MEANS) showSeen(mean, meter);
}

function means() {
  const of = (read) =>
    meters.some((meter) => read(meter) === null) ? null : meters.reduce((sum, meter) => sum + read(meter), 0) / meters.length;
  return {
    copied: of((meter) => meter.copied),
    guestFps: of((meter) => meter.guestFps),
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

/** A row a path, of when it ran last. */
function showSeen(mean, { p50 }) {
  const { path, resolution, rate, layout } = machine.wish;
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
function say(text) {
  clearTimeout(saying);
  element('said').textContent = text;
}

function state(text, isLoud) {
  element('state').textContent = text;
  element('state').classList.toggle('loud', isLoud);
}
