import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  constants,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  checkWritable,
  formatRun,
  InputError,
  parseRun,
  readRun,
  writeFileAtomically,
  writeFilesAtomically,
  writeReports,
} from '../../../reports/index.ts';
import { MOST_BYTES } from '../../../reports/json.ts';
import { seededRandom } from '../../../reports/random.ts';
import { buildRun, withTraces } from '../../support/run-document.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'scanout-reports-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe('writing', () => {
  test('a run comes back as it was written, from its file and from its folder', () => {
    const paths = writeReports(buildRun(), join(folder, 'a', 'b'));
    expect(readRun(paths.json)).toEqual(buildRun());
    expect(readRun(join(folder, 'a', 'b'))).toEqual(buildRun());
    expect(readdirSync(join(folder, 'a', 'b')).sort()).toEqual(['report.html', 'report.md', 'run.json']);
  });

  test('lists of numbers take one line each, and nothing else changes', () => {
    const run = withTraces(buildRun({ command: '[\n1,\n2]', partialReason: '[ 1, 2 ]' }), 3);
    const text = formatRun(run);
    expect(text).toContain('"atMs": [16.666666666666668, 33.333333333333336, 50]');
    expect(JSON.parse(text)).toEqual(run);
    expect(readdirSync(folder)).toEqual([]);
  });

  test('a document that breaks the schema writes nothing', () => {
    const run = buildRun();
    run.scenarios[0].results.fps = Number.NaN;
    expect(() => writeReports(run, join(folder, 'out'))).toThrow(InputError);
    expect(readdirSync(folder)).toEqual([]);
  });

  test('a write that fails leaves the old file and no temporary one', () => {
    // The name is taken by a folder: the rename fails after the temporary file is written.
    mkdirSync(join(folder, 'run.json', 'x'), { recursive: true });
    expect(() => writeFileAtomically(join(folder, 'run.json'), 'new')).toThrow(InputError);
    expect(readdirSync(folder)).toEqual(['run.json']);
    expect(readdirSync(join(folder, 'run.json'))).toEqual(['x']);
  });

  test('an old file is replaced as a whole', () => {
    writeFileSync(join(folder, 'f'), 'a longer old text');
    writeFileAtomically(join(folder, 'f'), 'µ');
    expect(readFileSync(join(folder, 'f'), 'utf8')).toBe('µ');
  });

  test('of files that belong together none is replaced where one cannot be written', () => {
    writeFileSync(join(folder, 'a'), 'old');
    writeFileSync(join(folder, 'file'), '');
    const files = ['a', 'b', join('file', 'c')].map((name) => ({ path: join(folder, name), text: 'new' }));
    expect(() => writeFilesAtomically(files)).toThrow(/^.*file\/c: cannot be written: [^\n]+$/);
    expect(readdirSync(folder).sort()).toEqual(['a', 'file']);
    expect(readFileSync(join(folder, 'a'), 'utf8')).toBe('old');
  });

  test('a link stays one, and what it names is written', () => {
    writeFileSync(join(folder, 'target'), 'old');
    symlinkSync('target', join(folder, 'link'));
    writeFileAtomically(join(folder, 'link'), 'new');
    expect(lstatSync(join(folder, 'link')).isSymbolicLink()).toBe(true);
    expect(readFileSync(join(folder, 'target'), 'utf8')).toBe('new');
  });

  test('a pipe or a device is written to, never replaced', () => {
    const pipe = join(folder, 'pipe');
    execFileSync('mkfifo', [pipe]);
    // A reader, so that opening it for writing does not wait.
    const reader = openSync(pipe, constants.O_RDWR | constants.O_NONBLOCK);
    writeFileAtomically(pipe, 'text');
    expect(statSync(pipe).isFIFO()).toBe(true);
    const bytes = Buffer.alloc(10);
    expect(bytes.toString('utf8', 0, readSync(reader, bytes))).toBe('text');
    closeSync(reader);
  });

  test('files that are being written when the process is killed are whole, the old or the new one each', async () => {
    const seed = 77;
    const random = seededRandom(seed);
    console.log(`kill -9: seed ${seed}`);
    const writer = join(import.meta.dirname, '../../support/file-writer.ts');
    for (let round = 0; round < 5; round++) {
      const child = spawn(process.execPath, [writer, folder], { stdio: ['ignore', 'pipe', 'inherit'] });
      const exit = once(child, 'exit');
      const writes = 1 + Math.floor(random() * 20);
      await new Promise<void>((resolve) => {
        let seen = 0;
        child.stdout.on('data', (text: Buffer) => {
          seen += text.length;
          if (seen >= writes) resolve();
        });
      });
      child.kill('SIGKILL');
      await exit;
      for (const name of ['a', 'b']) {
        const text = readFileSync(join(folder, name), 'utf8');
        expect([text.length, text.replaceAll(text[0], '')], name).toEqual([1_000_000, '']);
      }
    }
  }, 60_000);

  test('a folder that cannot be written is known before the run, in one line', () => {
    writeFileSync(join(folder, 'file'), '');
    expect(() => checkWritable(join(folder, 'file', 'out'))).toThrow(/^.*file\/out: cannot be written: [^\n]+$/);
    checkWritable(join(folder, 'new', 'out'));
    expect(readdirSync(join(folder, 'new', 'out'))).toEqual([]);
  });

  test('a file where a folder is needed, and a folder where a file is, are called so', () => {
    writeFileSync(join(folder, 'file'), '');
    expect(() => checkWritable(join(folder, 'file'))).toThrow(
      /file: cannot be written: a file stands where a folder is needed; name another$/,
    );
    expect(() => writeFilesAtomically([{ path: folder, text: '' }])).toThrow(/: cannot be written: it is a folder; name a file$/);
    expect(readdirSync(folder)).toEqual(['file']);
  });
});

describe('reading', () => {
  test('a file cut off anywhere is refused as cut off', () => {
    const text = formatRun(buildRun()).trimEnd();
    for (let length = 1; length < text.length; length += 997) {
      expect(() => parseRun(text.slice(0, length), 'run.json')).toThrow('run.json: not JSON: it is cut off before its end');
    }
    expect(() => parseRun('', 'run.json')).toThrow('run.json: not JSON: it is empty');
  });

  test('what is not JSON, not an object, or of another version is refused with its name', () => {
    expect(() => parseRun('{"a": x}', 'f.json')).toThrow(/^f\.json: not JSON: /);
    expect(() => parseRun('[1]', 'f.json')).toThrow('f.json: not a run document: not a JSON object');
    expect(() => parseRun('{"schemaVersion": 99}', 'f.json')).toThrow('schemaVersion 99 is unknown');
  });

  test('a document nested so deeply that walking it would end the program is refused in a line', () => {
    const deep = `${'['.repeat(200_000)}${']'.repeat(200_000)}`;
    const whole = JSON.stringify({ ...buildRun(), command: 'deep', later: 0 });
    const texts = [
      deep,
      `{"a":${deep}}`,
      `{"schemaVersion":${deep}}`,
      whole.replace('"deep"', deep),
      whole.replace('"later":0', `"later":${deep}`),
    ];
    for (const text of texts) {
      expect(() => parseRun(text, 'f.json')).toThrow(InputError);
      expect(() => parseRun(text, 'f.json')).toThrow('f.json: not used: its JSON is nested more than 64 levels deep');
    }
  });

  test('a file that is too large is refused, as is a source that never ends', () => {
    const path = join(folder, 'large.json');
    writeFileSync(path, '');
    truncateSync(path, MOST_BYTES + 1);
    expect(() => readRun(path)).toThrow(`${path}: cannot be read: it is larger than 64 MiB`);
    expect(() => readRun('/dev/zero')).toThrow('/dev/zero: cannot be read: it is larger than 64 MiB');
    truncateSync(path, MOST_BYTES);
    expect(() => readRun(path)).toThrow(/not JSON/);
  });

  test('what a message quotes of a document is short, whatever it holds', () => {
    const long = 'x'.repeat(1_000_000);
    for (const value of [
      { schemaVersion: long },
      { ...buildRun(), suite: [long] },
      { ...buildRun(), limits: { ...buildRun().limits, unavailable: { [long]: 1 } } },
    ]) {
      let message = '';
      try {
        parseRun(JSON.stringify(value), 'f.json');
      } catch (error) {
        message = String(error);
      }
      expect(message).toMatch(/^InputError: f\.json: not a run document: /);
      expect(message.length).toBeLessThan(300);
    }
  });

  test('a missing file is one line with its name', () => {
    const path = join(folder, 'none.json');
    expect(() => readRun(path)).toThrow(`${path}: cannot be read: ENOENT: no such file or directory`);
    expect(() => readRun(path)).toThrow(InputError);
  });
});
