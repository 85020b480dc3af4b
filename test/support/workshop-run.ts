/** Runs a test that never ends in a copy of the tree, as the mutants' command does, until it is killed. Prints the copy's folder. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Workshop } from '../mutants/workshop.ts';

const workshop = new Workshop();
const test = `import { test } from 'vitest';\ntest('never ends', { timeout: 600_000 }, () => new Promise((done) => setTimeout(done, 600_000)));\n`;
writeFileSync(join(workshop.root, 'test/never.test.ts'), test);
process.stdout.write(`${workshop.root}\n`);
await workshop.run(['test/never.test.ts'], 600_000);
