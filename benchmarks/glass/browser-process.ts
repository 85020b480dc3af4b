/**
 * Keeps a headless Chromium: passes on what it is told over its standard input and output (the DevTools protocol, a 0 after each
 * message). Ends it and removes its folder when that input closes: with whoever started this, however that ends.
 * Arguments: Chromium's program, and the pid that names the folder.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Readable, Writable } from 'node:stream';

const FLAGS = [
  '--headless',
  '--remote-debugging-pipe',
  '--disable-gpu',
  '--disable-quic',
  '--disable-extensions',
  '--disable-sync',
  '--disable-component-update',
  '--disable-background-networking',
  '--disable-background-timer-throttling',
  '--disable-renderer-backgrounding',
  '--disable-backgrounding-occluded-windows',
  '--disable-breakpad',
  '--mute-audio',
  '--no-first-run',
  '--no-default-browser-check',
  // It refuses its sandbox to root. What it shows is this project's own page alone.
  ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
];
/** Its helpers may still write a moment after they were killed. */
const REMOVING = { recursive: true, force: true, maxRetries: 20, retryDelay: 50 } as const;

const [program = '', starter = ''] = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), `scanout-glass-${starter}-`));
const chromium = spawn(program, [...FLAGS, `--user-data-dir=${folder}`, 'about:blank'], {
  // A group of its own, which is ended as a whole.
  detached: true,
  stdio: ['ignore', 'ignore', 'inherit', 'pipe', 'pipe'],
});
const [toChromium, fromChromium] = [chromium.stdio[3] as Writable, chromium.stdio[4] as Readable];
let isOver = false;

function end(): void {
  if (isOver || chromium.pid === undefined) return;
  try {
    process.kill(-chromium.pid, 'SIGKILL');
  } catch {
    // It is gone, and `close` has come or comes.
  }
}

/** Chromium makes a folder beside its own one for a socket, and does not remove it when it is killed. */
function removeSocket(): void {
  try {
    const beside = dirname(readlinkSync(join(folder, 'SingletonSocket')));
    if (dirname(beside) === tmpdir()) rmSync(beside, REMOVING);
  } catch {
    // It was killed before it made one.
  }
}

function leave(): void {
  if (isOver) return;
  isOver = true;
  removeSocket();
  rmSync(folder, REMOVING);
  process.exit();
}

chromium.on('error', (error) => {
  process.stderr.write(`${error.message}\n`);
  leave();
});
chromium.on('exit', leave);
for (const stream of [toChromium, fromChromium, process.stdout]) stream.on('error', end);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, end);
process.stdin.on('close', end);
process.stdin.pipe(toChromium);
fromChromium.pipe(process.stdout);
