import { HeadView } from './head-view.js';
import { ServerClock } from './server-clock.js';
import { readBinary } from './wire.js';

/** Between two tries to connect, ms. */
const AGAIN_MS = 1000;
const FIGURES_MS = 250;

const element = (id) => document.querySelector(`#${id}`);
let views = [];
let clock = null;
let figures = null;
let hasEnded = false;

// The token is used up: what is reloaded or copied is the address without it.
history.replaceState(null, '', location.pathname);

if (typeof VideoDecoder === 'undefined') {
  say(
    isSecureContext
      ? 'This browser has no WebCodecs: use a current Chromium, Firefox or Safari.'
      : 'Browsers decode video for pages of this computer or over https alone. Forward the port, for example: ssh -L, and open http://127.0.0.1.',
    true,
  );
} else connect();
setInterval(showFigures, FIGURES_MS);
element('fit').addEventListener('click', toggleFit);
element('full').addEventListener('click', () => views.find((view) => view.size !== '')?.toggleFullScreen());
document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === 'f') views.find((view) => view.size !== '')?.toggleFullScreen();
  if (event.key === 'a') toggleFit();
});

function connect() {
  const socket = new WebSocket(`${location.origin.replace(/^http/, 'ws')}/stream`);
  socket.binaryType = 'arraybuffer';
  const tell = (message) => {
    if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
  };
  socket.addEventListener('open', () => {
    clock = new ServerClock(tell);
    say('connected', false);
  });
  socket.addEventListener('message', ({ data }) => {
    if (typeof data === 'string') hear(JSON.parse(data), tell);
    else hearBinary(readBinary(data));
  });
  socket.addEventListener('close', () => {
    clock?.close();
    for (const view of views) view.off();
    if (hasEnded) say('The stream has ended.', true);
    else {
      say('No connection; trying again …', true);
      setTimeout(connect, AGAIN_MS);
    }
  });
}

function hear(message, tell) {
  if (message.type === 'hello') {
    element('heads').replaceChildren();
    views = Array.from({ length: message.heads }, (_, head) => new HeadView(head, tell, clock));
  } else if (message.type === 'config') views[message.head].configure(message);
  else if (message.type === 'off') views[message.head].off();
  else if (message.type === 'cursor') views[message.head].cursor(message);
  else if (message.type === 'pong') clock.hear(message);
  else if (message.type === 'figures') figures = message;
  else if (message.type === 'bye') hasEnded = true;
}

function hearBinary(message) {
  if (message?.type === 'frame') views[message.head].frame(message);
  else if (message?.type === 'cursor') views[message.head].cursorImage(message);
}

function showFigures() {
  const on = views.filter((view) => view.size !== '');
  const ms = (value) => (value === null || value === undefined ? '–' : `${value.toFixed(1)} ms`);
  element('frame').textContent = on.map((view) => view.code ?? '–').join(', ') || '–';
  element('rate').textContent = on.map((view) => view.rate.toFixed(1)).join(', ') || '–';
  element('p50').textContent = ms(figures?.p50);
  element('p99').textContent = ms(figures?.p99);
  element('offset').textContent = ms(clock?.offset);
  element('trip').textContent = ms(clock?.roundTrip);
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
