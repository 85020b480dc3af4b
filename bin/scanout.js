#!/usr/bin/env node
/**
 * Starts the command line: benchmarks/cli.ts in a clone (Node strips the types), dist/benchmarks/cli.js when
 * installed as a package (Node strips no types under node_modules). Plain JavaScript that old versions of Node
 * can read, so that they can say what is wrong: they hand over to the `node` package's binary if one is
 * installed beside, and refuse otherwise.
 *
 * The command line's module exports `main(argv)`, which resolves to the exit code (2: usage or input error).
 */
import { spawn } from 'node:child_process';
import { accessSync, constants, existsSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants as osConstants } from 'node:os';
import { dirname, join, sep } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const NEEDED = 24;
const here = realpathSync(fileURLToPath(import.meta.url));
const root = dirname(dirname(here));

if (Number.parseInt(process.versions.node, 10) >= NEEDED) start();
else {
  const binary = process.env.SCANOUT_REEXECUTED === undefined ? newerNode() : null;
  if (binary !== null) reexecute(binary);
  else {
    process.stderr.write(
      `scanout: needs Node ${NEEDED} or newer, this is ${process.versions.node}; update Node, or install the 'node' package beside scanout (npm install node@26)\n`,
    );
    process.exitCode = 2;
  }
}

async function start() {
  const source = join(root, 'benchmarks', 'cli.ts');
  const built = join(root, 'dist', 'benchmarks', 'cli.js');
  const inPackages = root.split(sep).includes('node_modules');
  const entry = !inPackages && existsSync(source) ? source : built;
  if (!existsSync(entry)) {
    process.stderr.write(`scanout: ${entry} is missing: the package is incomplete, install it again\n`);
    process.exitCode = 2;
    return;
  }
  const { main } = await import(pathToFileURL(entry).href);
  const code = await main(process.argv.slice(2));
  if (typeof code === 'number') process.exitCode = code;
}

/** The binary of a `node` package that resolves from here, or null. */
function newerNode() {
  try {
    const binary = join(dirname(createRequire(here).resolve('node/package.json')), 'bin', 'node');
    accessSync(binary, constants.X_OK);
    return binary;
  } catch {
    return null;
  }
}

/** Runs this file under `binary`; signals and the exit code are passed through. */
function reexecute(binary) {
  const child = spawn(binary, [...process.execArgv, here, ...process.argv.slice(2)], {
    stdio: 'inherit',
    env: { ...process.env, SCANOUT_REEXECUTED: '1' },
  });
  // A terminal sends Ctrl-C to the child as well; the command line takes signals in quick succession for one.
  for (const signal of ['SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGHUP', 'SIGUSR2']) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => {
    process.stderr.write(`scanout: cannot run ${binary}: ${error.message}\n`);
    process.exitCode = 2;
  });
  child.on('exit', (code, signal) => {
    if (signal === null) {
      process.exit(code);
      return;
    }
    // Die of the same signal, so that whoever waits sees what the child's death looked like.
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
    // Not reached for a signal that ends a process; the shell's convention otherwise.
    setTimeout(() => process.exit(128 + osConstants.signals[signal]), 1000);
  });
}
