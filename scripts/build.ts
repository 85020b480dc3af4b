/**
 * Makes dist/: the compiled JavaScript (Node strips no types under node_modules), and beside it the files that
 * tsc leaves behind and the program reads at run time (C sources, JSON, style sheets).
 */
import { spawnSync } from 'node:child_process';
import { cpSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const root = join(import.meta.dirname, '..');
const dist = join(root, 'dist');
const folders = ['core', 'workers', 'benchmarks', 'reports'];

rmSync(dist, { recursive: true, force: true });
const typescript = dirname(createRequire(import.meta.url).resolve('typescript/package.json'));
const compiled = spawnSync(process.execPath, [join(typescript, 'bin', 'tsc'), '-p', 'tsconfig.build.json'], {
  cwd: root,
  stdio: 'inherit',
});
if (compiled.status !== 0) process.exit(compiled.status ?? 1);

for (const folder of folders) {
  cpSync(join(root, folder), join(dist, folder), {
    recursive: true,
    filter: (source) => statSync(source).isDirectory() || !source.endsWith('.ts'),
  });
}

// The report is one file that zooms offline: what it is written with has to be in the package.
const uplot = dirname(createRequire(import.meta.url).resolve('uplot/package.json'));
for (const file of ['LICENSE', 'dist/uPlot.iife.min.js', 'dist/uPlot.min.css'])
  cpSync(join(uplot, file), join(dist, 'reports', 'html', 'uplot', file), { recursive: true });
