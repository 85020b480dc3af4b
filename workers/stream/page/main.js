import { Connection, whyNoVideo } from './connection.js';

const FIGURES_MS = 250;

const element = (id) => document.querySelector(`#${id}`);
let connection = null;
let figures = null;

// The token is used up: what is reloaded or copied is the address without it.
history.replaceState(null, '', location.pathname);

const missing = whyNoVideo();
if (missing !== null) say(missing, true);
else connection = new Connection({ heads: element('heads'), say, hear });
setInterval(showFigures, FIGURES_MS);
element('fit').addEventListener('click', toggleFit);
element('full').addEventListener('click', () => connection?.shown?.toggleFullScreen());
document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === 'f') connection?.shown?.toggleFullScreen();
  if (event.key === 'a') toggleFit();
});

function hear(message) {
  if (message.type === 'figures') figures = message;
}

function showFigures() {
  const on = (connection?.views ?? []).filter((view) => view.size !== '');
  const ms = (value) => (value === null || value === undefined ? '–' : `${value.toFixed(1)} ms`);
  element('frame').textContent = on.map((view) => view.code ?? '–').join(', ') || '–';
  element('rate').textContent = on.map((view) => view.rate.toFixed(1)).join(', ') || '–';
  element('p50').textContent = ms(figures?.p50);
  element('p99').textContent = ms(figures?.p99);
  element('offset').textContent = ms(connection?.clock?.offset);
  element('trip').textContent = ms(connection?.clock?.roundTrip);
  element('lost').textContent = String(figures?.lost ?? 0);
  element('clients').textContent = String(figures?.clients ?? 0);
}

function toggleFit() {
  const isActual = document.body.classList.toggle('actual');
  element('fit').setAttribute('aria-pressed', String(isActual));
}

function say(text, isLoud) {
  element('state').textContent = text;
  element('state').classList.toggle('loud', isLoud);
}
