import { readdirSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join, relative, sep } from 'node:path';
import { describe, expect, it } from 'vitest';
import { importsOf, LAYERS, MAX_LINES, type Sources, violations } from '../support/layering.ts';

const root = join(import.meta.dirname, '../..');

function readSources(): Map<string, string> {
  const sources = new Map<string, string>();
  for (const layer of LAYERS) {
    for (const entry of readdirSync(join(root, layer), { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || !/\.(ts|js|c)$/.test(entry.name)) continue;
      const path = join(entry.parentPath, entry.name);
      sources.set(relative(root, path).split(sep).join('/'), readFileSync(path, 'utf8'));
    }
  }
  return sources;
}

describe('layers of the project', () => {
  it('there are sources in core to walk', () => {
    expect([...readSources().keys()].filter((file) => file.startsWith('core/')).length).toBeGreaterThan(5);
  });

  it('no file breaks a rule', () => {
    expect(violations(readSources()).map(({ file, rule }) => `${file}: ${rule}`)).toEqual([]);
  });

  it('every import between files names one that exists', () => {
    const sources = readSources();
    const missing: string[] = [];
    for (const [file, text] of sources) {
      for (const target of importsOf(file, text)) {
        if (target.endsWith('.ts') && !sources.has(target)) missing.push(`${file}: ${target}`);
      }
    }
    expect(missing).toEqual([]);
  });

  it('every package that is imported at run time is a dependency of the package', () => {
    const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    const installed = { ...manifest.dependencies, ...manifest.optionalDependencies };
    const missing: string[] = [];
    for (const [file, text] of readSources()) {
      if (!file.endsWith('.ts')) continue;
      // Types vanish when the code is built; development commands may load what only a clone has.
      const code = text.replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '').replace(/\bimport type\b[^;]*;/g, '');
      for (const target of importsOf(file, code)) {
        if (LAYERS.some((layer) => target === layer || target.startsWith(`${layer}/`)) || isBuiltin(target)) continue;
        if (!/^[@a-z]/.test(target)) continue;
        const name = target.split('/', target.startsWith('@') ? 2 : 1).join('/');
        if (!(name in installed)) missing.push(`${file}: ${name}`);
      }
    }
    expect(missing).toEqual([]);
  });
});

/** How Node reaches a network. */
const NETWORK = /^(?:node:)?(?:dgram|dns|http|http2|https|net|tls|quic|inspector)(?:\/|$)/;
const CALLS = /\bfetch\(|\bnew (?:WebSocket|EventSource)\b/;

function networked(sources: Sources): string[] {
  return [...sources].flatMap(([file, text]) => {
    const code = text.replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '');
    return CALLS.test(code) || importsOf(file, code).some((target) => NETWORK.test(target)) ? [file] : [];
  });
}

it('no module of the program but the stream and its page imports a module of the network, nor calls fetch', () => {
  const launcher = 'bin/scanout.js';
  expect(networked(readSources().set(launcher, readFileSync(join(root, launcher), 'utf8'))).toSorted()).toEqual([
    'workers/stream/page/connection.js',
    'workers/stream/stream-server.ts',
  ]);
  const planted = ["import net from 'node:net';", "const http = await import('http');", 'await fetch(url);', 'new WebSocket(url);'];
  for (const text of planted) expect(networked(new Map([['workers/x.ts', text]])), text).toEqual(['workers/x.ts']);
});

describe('each rule bites', () => {
  const imports = (target: string) => `import { x } from '${target}';\n`;
  const cases: [rule: string, reported: string, sources: [string, string][]][] = [
    ['guest → host', 'core/guest → core/host', [['core/guest/driver.ts', imports('../host/device.ts')]]],
    ['host → guest', 'core/host → core/guest', [['core/host/device.ts', `import type { X } from '../guest/driver.ts';`]]],
    [
      'guest → host by way of a third file',
      'core/guest → core/host: reaches core/host',
      [
        ['core/guest/driver.ts', imports('../trace/x.ts')],
        ['core/trace/x.ts', imports('../host/device.ts')],
      ],
    ],
    ['driver side → device side', 'share only layout', [['core/ring/split/driver.ts', imports('./device.ts')]]],
    ['device side → driver side', 'share only layout', [['core/ring/packed/device.ts', `export * from './driver.ts';`]]],
    ['protocol → ring', 'core/protocol → core/ring', [['core/protocol/write.ts', imports('../ring/queue.ts')]]],
    ['memory → anything but measure', 'core/memory → core:', [['core/memory/copier.ts', imports('../protocol/constants.ts')]]],
    ['measure → anything', 'core/measure → core:', [['core/measure/clock.ts', imports('../memory/region.ts')]]],
    ['dmabuf → host', 'core/dmabuf → core/host', [['core/dmabuf/udmabuf.ts', imports('../host/device.ts')]]],
    ['dmabuf → guest', 'core/dmabuf → core/guest', [['core/dmabuf/udmabuf.ts', imports('../guest/driver.ts')]]],
    ['dmabuf → protocol', 'core/dmabuf → core/protocol', [['core/dmabuf/udmabuf.ts', imports('../protocol/constants.ts')]]],
    ['sink → host', 'core/sink → core/host', [['core/sink/latch.ts', imports('../host/device.ts')]]],
    ['guest or host outside machine', 'only machine imports', [['core/trace/replay.ts', imports('../host/device.ts')]]],
    ['core → workers', 'core → workers', [['core/machine/machine.ts', imports('../../workers/session.ts')]]],
    ['core → benchmarks', 'core → benchmarks', [['core/machine/machine.ts', imports('../../benchmarks/suites.ts')]]],
    ['core → reports', 'core → reports', [['core/machine/machine.ts', imports('../../reports/read.ts')]]],
    ['core → node:worker_threads', 'no package: node:worker_threads', [['core/ring/doorbell.ts', imports('node:worker_threads')]]],
    ['core → node:fs', 'no package: node:fs', [['core/trace/read.ts', `const fs = await import('node:fs');`]]],
    ['core → a package', 'no package: ajv', [['core/trace/read.ts', imports('ajv')]]],
    ['workers → benchmarks', 'workers → benchmarks', [['workers/session.ts', imports('../benchmarks/suites.ts')]]],
    ['reports → core', 'reports → core', [['reports/html.ts', `import type { X } from '../core/measure/frame-log.ts';`]]],
    ['reports → workers', 'reports → workers', [['reports/html.ts', imports('../workers/session.ts')]]],
    ['reports → benchmarks', 'reports → benchmarks', [['reports/html.ts', imports('../benchmarks/suites.ts')]]],
    ['anything → test', 'workers → test', [['workers/session.ts', imports('../test/support/x.ts')]]],
    [
      'a worker entry given as a URL',
      'workers → benchmarks',
      [['workers/session.ts', `new Worker(new URL('../benchmarks/entry.ts', import.meta.url));`]],
    ],
    ['Atomics outside memory, ring and measure', 'Atomics only', [['core/host/device.ts', 'Atomics.load(cells, 0);']]],
    ['Atomics in the machine', 'Atomics only', [['core/machine/machine.ts', 'Atomics.store(plan.control, 0, 1);']]],
    ['SharedArrayBuffer outside memory, ring and measure', 'raw shared buffers', [['core/guest/driver.ts', 'new SharedArrayBuffer(8);']]],
    ['performance.now outside measure', 'the clock', [['core/host/device.ts', 'const t = performance.now();']]],
    ['process.hrtime outside measure', 'the clock', [['core/host/device.ts', 'const t = process.hrtime();']]],
    ['Date.now outside measure', 'the clock', [['core/host/device.ts', `const t = \`at \${Date.now()}\`;`]]],
    ['a file that is too long', '401 lines', [['reports/html.ts', 'x;\n'.repeat(MAX_LINES + 1)]]],
  ];
  it.each(cases)('%s', (_rule, reported, sources) => {
    expect(violations(new Map(sources)).map(({ rule }) => rule)).toContainEqual(expect.stringContaining(reported));
  });
});

describe('what is allowed stays allowed', () => {
  const allowed: [name: string, sources: [string, string][]][] = [
    ['machine imports guest and host', [['core/machine/machine.ts', `import '../guest/driver.ts';\nimport '../host/device.ts';`]]],
    ['memory imports measure', [['core/memory/copier.ts', `import type { Clock } from '../measure/clock.ts';`]]],
    ['both sides of a queue import its layout', [['core/ring/split/device.ts', `import { x } from './layout.ts';`]]],
    ['Atomics in the doorbell', [['core/ring/doorbell.ts', 'Atomics.wait(cells, 0, 0);']]],
    ['the machine makes shared buffers', [['core/machine/plan.ts', 'new SharedArrayBuffer(8);']]],
    ['a comment that names Atomics and the clock', [['core/host/device.ts', '/** Atomics, performance.now() */\n// import "node:fs"\n']]],
    ['a message that names the buffer', [['core/machine/machine.ts', `throw new Error('not a SharedArrayBuffer');`]]],
    ['a file of the greatest length', [['reports/html.ts', 'x;\n'.repeat(MAX_LINES)]]],
  ];
  it.each(allowed)('%s', (_name, sources) => {
    expect(violations(new Map(sources) satisfies Sources)).toEqual([]);
  });
});
