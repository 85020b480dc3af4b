/** Writes the same two files of a megabyte of one digit over and over: `node file-writer.ts FOLDER`, until it is killed. A byte on stdout for each time. */
import { join } from 'node:path';
import { writeFilesAtomically } from '../../reports/index.ts';

const [folder = ''] = process.argv.slice(2);
for (let i = 0; ; i++) {
  const text = String(i % 10).repeat(1_000_000);
  writeFilesAtomically(['a', 'b'].map((name) => ({ path: join(folder, name), text })));
  process.stdout.write('.');
}
