import { Connection, whyNoVideo } from './connection.js';
import { Diagram } from './diagram.js';
import { Figures } from './figures.js';
import { OtherGuest } from './other-guest.js';
import { OwnGuest } from './own-guest.js';

const element = (id) => document.querySelector(`#${id}`);
const diagram = new Diagram();
const figures = new Figures();
// Not every browser lets keys reach what scrolls.
element('seen-scroll').tabIndex = 0;
let connection = null;
let guest = null;
let glass = null;

// The token is used up: what is reloaded or copied is the address without it.
history.replaceState(null, '', location.pathname);

const missing = whyNoVideo();
if (missing !== null) state(missing, true);
else connection = new Connection({ heads: element('heads'), say: state, hear });

/** What both kinds of guests have of the page. */
const page = {
  diagram,
  figures,
  state,
  tell: (wish) => connection.tell({ type: 'control', wish }),
  say(text) {
    element('said').textContent = text;
  },
  /** Whether a head that shows nothing keeps its last picture. */
  keepPictures(keeps) {
    connection.keepsPictures = keeps;
  },
  /** Heads that show something. */
  shown: () => connection.views.filter((view) => view.size !== ''),
  /** What was measured is of what is no more. */
  restart() {
    figures.restart();
    glass = null;
  },
};

function hear(message) {
  if (message.type === 'machine' || message.type === 'guest') {
    guest ??= begin(message.type === 'guest');
    guest.changed(message);
  } else if (message.type === 'meter') measured(message);
  else if (message.type === 'figures') glass = message;
  else if (message.type === 'refused') {
    page.say(`Not done: ${message.why}.`);
    guest?.refused();
  }
}

/** The page is of one kind of guest from now on. */
function begin(isOther) {
  for (const part of document.querySelectorAll('[data-of]')) part.toggleAttribute('hidden', (part.dataset.of === 'other') !== isOther);
  if (isOther) for (const part of document.querySelectorAll('[data-other]')) part.textContent = part.dataset.other;
  figures.isOther = isOther;
  return isOther ? new OtherGuest(page) : new OwnGuest(page);
}

function measured(meter) {
  const shown = page.shown().reduce((sum, view) => sum + view.rate, 0);
  figures.measured(meter, glass, shown);
  guest?.measured(meter, figures.means(), shown);
}

function state(text, isLoud) {
  // What is said again is not read out again.
  if (element('state').textContent !== text) element('state').textContent = text;
  element('state').classList.toggle('loud', isLoud);
  // Then there is nothing to wait for.
  if (isLoud) element('empty').hidden = true;
}
