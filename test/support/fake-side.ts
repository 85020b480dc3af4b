import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RunDocument } from '../../reports/run-document.ts';

/**
 * Makes `root` a side of a live comparison that answers at once: `run --json` prints this document.
 * @param script CommonJS that comes before it and sees `argv`
 * @returns root
 */
export function fakeSide(root: string, run: RunDocument, script = ''): string {
  mkdirSync(join(root, 'bin'), { recursive: true });
  writeFileSync(join(root, 'run.json'), JSON.stringify(run));
  writeFileSync(
    join(root, 'bin/scanout.js'),
    `const { readFileSync, writeFileSync } = require('node:fs');
const argv = process.argv.slice(2);
if (argv.includes('--help')) console.log('  --bare  timed repetitions only');
else {
  ${script}
  process.stdout.write(readFileSync(require('node:path').join(__dirname, '../run.json')));
}
`,
  );
  return root;
}
