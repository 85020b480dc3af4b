import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { dispatch } from '../../benchmarks/cli.ts';
import { type Command, runCommand } from '../../benchmarks/commands/command.ts';
import { readRun } from '../../reports/index.ts';
import { descendants, isRunning, type Process } from '../support/processes.ts';

const launcher = join(import.meta.dirname, '../../bin/scanout.js');
const scratch = mkdtempSync(join(tmpdir(), 'scanout-cli-'));
const at = (name: string): string => join(scratch, name);
const children = new Set<ChildProcess>();

afterEach(() => {
  for (const child of children) child.kill('SIGKILL');
  children.clear();
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

interface Said {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** A command in this process. Aborted before it begins, so that a run which should have been refused ends at once. */
async function say(...argv: string[]): Promise<Said> {
  const said: Said = { code: null, stdout: '', stderr: '' };
  said.code = await dispatch(argv, {
    stdout: (text) => {
      said.stdout += text;
    },
    stderr: (text) => {
      said.stderr += text;
    },
    signal: AbortSignal.abort(new Error('stopped')),
  });
  return said;
}

/** A command in a process of its own. */
function start(argv: string[], stdout: 'pipe' | number = 'pipe'): { child: ChildProcess; ended: Promise<Said> } {
  const child = spawn(process.execPath, [launcher, ...argv], {
    stdio: ['ignore', stdout, 'pipe'],
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  children.add(child);
  const said: Said = { code: null, stdout: '', stderr: '' };
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    said.stdout += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said.stderr += text;
  });
  const ended = once(child, 'close').then(([code, signal]) => {
    if (signal !== null) throw new Error(`died of ${signal}: ${said.stderr}`);
    return { ...said, code: code as number };
  });
  return { child, ended };
}

/** Looks again and again until there is something. */
async function until<T>(look: () => T | null | undefined | false): Promise<T> {
  for (const end = performance.now() + 20_000; performance.now() < end; ) {
    const found = look();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  throw new Error('it did not come to that');
}

const stderrHas = (child: ChildProcess, text: string): Promise<unknown> =>
  new Promise((resolve) => {
    let seen = '';
    child.stderr?.on('data', (more: string) => {
      seen += more;
      if (seen.includes(text)) resolve(null);
    });
  });

describe('help', () => {
  it.each([
    ['--help'],
    ['run', '--help'],
    ['run', '-h'],
    ['replay', '--help'],
    ['replay', '-h'],
    ['list', '--help'],
    ['doctor', '--help'],
    ['history', '--help'],
  ])('of %s %s has examples and fits 80 columns', async (...argv) => {
    const { code, stdout, stderr } = await say(...argv);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/\nExamples:\n {2}scanout /);
    expect(stdout.endsWith('\n')).toBe(true);
    for (const line of stdout.split('\n')) expect(line.length, line).toBeLessThanOrEqual(80);
  });

  it('of every command fits 80 columns', async () => {
    const { stdout } = await say('--help');
    const names = [...stdout.matchAll(/^ {2}([a-z]+) {2,}\S/gm)].map(([, name]) => name ?? '');
    expect(names).toEqual(expect.arrayContaining(['run', 'host', 'stream', 'view', 'export']));
    for (const name of names) {
      const help = await say(name, '--help');
      for (const line of help.stdout.split('\n')) expect(line.length, `${name}: ${line}`).toBeLessThanOrEqual(80);
    }
  });

  it('names every flag that run takes', async () => {
    const { stdout } = await say('run', '--help');
    for (const flag of RUN_FLAGS) expect(stdout).toContain(`--${flag}`);
  });

  it('without a command it goes to stderr, with exit code 2', async () => {
    const { code, stdout, stderr } = await say();
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/^scanout: .*\n/);
  });

  it('--version is one line', async () => {
    expect(await say('--version')).toMatchObject({ code: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\S*\n$/) });
  });
});

const RUN_FLAGS = [
  'suite',
  'path',
  'resolution',
  'rate',
  'repetitions',
  'frames',
  'buffers',
  'layout',
  'heads',
  'sink',
  'renderer',
  'scanout-us',
  'damage',
  'list-limit',
];
const VALUED = [...RUN_FLAGS, 'size-limit-mb', 'policy', 'profile', 'migrate', 'spin-us', 'seed', 'memory-mb', 'out', 'history'];

describe('wrong input: one line on stderr, exit code 2, nothing on stdout', () => {
  const file = at('file');
  writeFileSync(file, '');
  execFileSync('mkfifo', [at('pipe')]);
  mkdirSync(at('taken/run.json'), { recursive: true });
  writeFileSync(
    at('corrupt.jsonl'),
    '{"trace":"virtio-gpu-commands","version":1,"config":{"num_scanouts":1,"width":64,"height":64}}\n{"kind":\n',
  );
  const cases: [argv: string[], says: RegExp][] = [
    [['bogus'], /no command "bogus": use run, .*, list, doctor/],
    [['--bogus'], /no command "--bogus"/],
    [['rnu'], /no command "rnu": did you mean run\? Else use run, compare, .*, or --help/],
    [['run', '--bogus'], /Unknown option '--bogus'; see --help/],
    [['run', '--suit', 'quick'], /Unknown option '--suit': did you mean --suite\? See --help/],
    [['run', '--rep', '3'], /did you mean --repetitions\?/],
    [['run', 'bogus'], /Unexpected argument 'bogus'/],
    [['run', '--json=1'], /'--json' does not take an argument/],
    [['run', '--suite', 'quick', '--suite', 'full'], /--suite is given twice/],
    [['run', '--json', '--json'], /--json is given twice/],
    ...VALUED.map((flag): [string[], RegExp] => [['run', `--${flag}`], new RegExp(`--${flag} needs a value`)]),
    [['run', '--suite', '--json'], /--suite needs a value/],
    [['run', '--suite', 'fast'], /unknown suite 'fast': use quick, default/],
    [['run', '--suite='], /unknown suite '': use quick/],
    [['run', '--suite', 'qiuck'], /unknown suite 'qiuck': did you mean quick\? Else use quick, default/],
    [['run', '--path', 'dma'], /unknown path 'dma': use vfio, udmabuf/],
    [['run', '--path', 'vfio,'], /unknown path ''/],
    [['run', '--path', 'vfio,udmabfu'], /unknown path 'udmabfu': did you mean udmabuf\? Else use vfio, udmabuf/],
    [['run', '--resolution', '5k'], /unknown resolution '5k': use 720p/],
    [['run', '--resolution', '16x16'], /a side has 32 to 8192 pixels/],
    [['run', '--resolution', '8193x64'], /a side has 32 to 8192 pixels/],
    [['run', '--rate', '0'], /unknown rate '0': use max or 1 to 1000/],
    [['run', '--rate', '0x10'], /unknown rate '0x10'/],
    [['run', '--sink', 'encode', '--max-refresh', '0'], /unknown --max-refresh '0': use max or 1 to 1000/],
    [['run', '--path', 'vfio', '--max-refresh', '30'], /--max-refresh is for --sink encode/],
    [['run', '--suite', 'quick', '--rate', '60'], /suite quick has no scenario with that/],
    [['run', '--repetitions', '0'], /--repetitions takes a whole number from 1 to 1000, not "0"/],
    [['run', '--frames', '1.5'], /--frames takes a whole number/],
    [['run', '--buffers', '17'], /--buffers takes a whole number from 1 to 16/],
    [['run', '--heads', '17'], /--heads takes a whole number from 1 to 16/],
    [['run', '--seed', '-1'], /--seed needs a value/],
    [['run', '--seed=-1'], /--seed takes a whole number from 0/],
    [['run', '--spin-us', '1e3'], /--spin-us takes a whole number/],
    [['run', '--migrate', ''], /--migrate takes a whole number/],
    [['run', '--layout', '8k'], /--layout takes contiguous or 2m or 64k or 4k/],
    [['run', '--sink', 'x'], /--sink takes latch or verify or display/],
    [['run', '--renderer', 'x'], /--renderer takes stamp or paint/],
    [['run', '--policy', 'x'], /--policy takes copy or error/],
    [['run', '--import-by', 'x'], /--import-by takes auto or udmabuf or remap or list/],
    [['run', '--import-by', 'list'], /give --memory memfd too/],
    [['run', '--profile', 'x'], /--profile takes series or qemu-10\.2/],
    [['run', '--damage', '64x64'], /unknown rectangle '64x64': use WxH\+X\+Y/],
    [['run', '--damage', '64x64+0+0'], /needs --buffers 1/],
    [['run', '--damage', '64x64+1900+0', '--buffers', '1', '--resolution', '1080p'], /does not lie within 1920x1080/],
    [['run', '--memory-mb', '64'], /needs about \d+ MiB and the memory budget is 64 MiB/],
    [['run', '--heads', '16', '--resolution', '8k'], /needs more than 4096 MiB|memory budget/],
    [['run', '--heads', '16', '--resolution', '8k', '--memory-mb', '1000000'], /needs more than 4096 MiB of VRAM/],
    [['run', '--out='], /--out needs the name of a folder/],
    [['run', '--out', file], /a file, not a folder/],
    [['run', '--out', join(file, 'below')], /cannot be written: ENOTDIR/],
    [['run', '--out', '/proc/scanout'], /cannot be written/],
    [['run', '--out', at('taken')], /run\.json: a folder, but/],
    [['host', '--vhost-user', 'x', '--rate', '59,94'], /unknown rate '59,94': use max or 1 to 1000/],
    [['host', '--vhost-user', 'x', '--record', at('pipe')], /--record .*pipe: nobody reads this pipe: start what reads it first/],
    [['host', '--vhost-user', 'x', '--frames', at('pipe')], /--frames .*pipe: nobody reads this pipe/],
    [['host', '--vhost-user', 'x', '--state', at('pipe')], /--state .*pipe: it is a pipe, which keeps nothing; name a file/],
    [['list', 'x'], /Unexpected argument 'x'/],
    [['list', '--x'], /Unknown option '--x'/],
    [['doctor', 'x'], /Unexpected argument 'x'/],
    [['doctor', '--json', '--json'], /--json is given twice/],
    [['replay'], /no trace given/],
    [['replay', '--list-limit'], /--list-limit needs a value/],
    [['replay', '--list-limit', '0', 'x'], /--list-limit takes a whole number/],
    [['replay', '--policy', 'x', 'x'], /--policy takes copy or error/],
    [['replay', at('none.jsonl')], /none\.jsonl: cannot be read/],
    [['replay', scratch], /cannot be read/],
    [['replay', at('corrupt.jsonl')], /corrupt\.jsonl.*\b2\b/],
  ];

  it.each(cases)('%j', async (argv, says) => {
    const { code, stdout, stderr } = await say(...argv);
    expect(stderr).toMatch(says);
    expect(stderr).toMatch(/^scanout[^\n]*\n$/);
    expect([code, stdout]).toEqual([2, '']);
  });

  it('a name cannot steer the terminal', async () => {
    const { stderr } = await say('run', '--suite', '\u001b[31mred\nmore');
    expect(stderr).toMatch(/^scanout run: unknown suite ' \[31mred more': use /);
    expect(stderr.slice(0, -1)).not.toMatch(/[\u0000-\u001f]/);
  });

  it('what is refused has made no folder', async () => {
    await say('run', '--out', at('refused'), '--seed', 'x');
    expect(existsSync(at('refused'))).toBe(false);
  });

  it('in a process of its own it is the same', async () => {
    expect(await start(['run', '--suite', 'fast']).ended).toEqual({
      code: 2,
      stdout: '',
      stderr: expect.stringMatching(/^scanout run: unknown suite 'fast'[^\n]*\n$/),
    });
  });
});

describe('a fault of the program', () => {
  const broken: Command = { name: 'broken', summary: '', help: '', run: () => Promise.reject(new TypeError('x is\nnot a function')) };

  it('is one short line and exit code 70', async () => {
    let stderr = '';
    const io = {
      stdout: () => {},
      stderr: (text: string) => {
        stderr += text;
      },
      signal: new AbortController().signal,
    };
    expect(await runCommand(broken, [], io)).toBe(70);
    expect(stderr).toBe('scanout broken: a fault of scanout itself: TypeError: x is not a function (SCANOUT_DEBUG=1 says where)\n');
  });
});

describe('output', () => {
  it('a reader that goes away is no error', async () => {
    const { child, ended } = start(['list']);
    child.stdout?.destroy();
    expect(await ended).toMatchObject({ code: 0, stderr: '' });
  });

  it('a full disk is one', async () => {
    const full = openSync('/dev/full', 'w');
    const { ended } = start(['list'], full);
    closeSync(full);
    expect(await ended).toMatchObject({ code: 74, stderr: expect.stringMatching(/^scanout: cannot write to stdout: ENOSPC[^\n]*\n$/) });
  });
});

describe('a run that is not to be believed', () => {
  it('has exit code 4 and says why: an import that the host refuses', async () => {
    const argv = [
      'run',
      '--suite',
      'quick',
      '--path',
      'udmabuf',
      '--resolution',
      '1080p',
      '--repetitions',
      '1',
      '--policy',
      'error',
      '--list-limit',
      '1',
    ];
    const { code, stdout } = await start([...argv, '--json']).ended;
    expect(code).toBe(4);
    expect(JSON.parse(stdout).checks).toContainEqual({
      name: 'udmabuf-1080p-max shows frames',
      status: 'fail',
      detail: expect.stringMatching(/^none was shown; the host answered [1-9]\d* errors$/),
    });
  });
});

describe('a run that is stopped', () => {
  const argv = (out: string): string[] => ['run', '--suite', 'quick', '--path', 'udmabuf,copy', '--repetitions', '100', '--out', out];
  const mine =
    (name: string) =>
    (p: Process): boolean =>
      p.name === name;

  it.each([
    ['in the measurement of the limits', 'SIGINT', 'measuring', (all: Process[]) => all.length > 0],
    ['while another program measures for it', 'SIGTERM', 'measuring', (all: Process[]) => all.some(mine('ping-pong'))],
    ['while it warms up', 'SIGHUP', 'warming up', () => true],
    ['in a repetition', 'SIGINT', '(1 of', () => true],
  ] as const)(
    '%s by %s ends within a second, leaves nothing running and marks what it wrote',
    { timeout: 90_000 },
    async (_, signal, text, ready) => {
      let took = Number.POSITIVE_INFINITY;
      // A busy machine makes anybody late: the least of three counts. All else holds each time.
      for (let attempt = 0; attempt < 3 && !(took < 1000); attempt++) {
        const out = at(`${signal}-${text.replaceAll(/\W/g, '')}-${attempt}`);
        mkdirSync(out);
        writeFileSync(join(out, 'run.json'), 'what was there before');
        const { child, ended } = start(argv(out));
        const pid = child.pid ?? 0;
        await stderrHas(child, text);
        const family = await until(() => {
          const all = descendants(pid);
          return ready(all) && [{ pid, name: 'node' }, ...all];
        });
        const asked = performance.now();
        child.kill(signal);
        const { code, stdout } = await ended;
        took = Math.min(took, performance.now() - asked);
        expect(code).toBe(130);
        for (const one of family) expect(isRunning(one.pid), one.name).toBe(false);
        expect(readRun(out)).toMatchObject({ partial: true, partialReason: expect.any(String) });
        expect(readdirSync(out).sort()).toEqual(['report.html', 'report.md', 'run.json']);
        for (const name of ['report.html', 'report.md']) expect(readFileSync(join(out, name), 'utf8')).toMatch(/stopped before its end/);
        expect(stdout).toContain(`Report: ${join(out, 'report.html')}`);
      }
      expect(took).toBeLessThan(1000);
    },
  );

  it('a Ctrl-C that arrives twice, from the terminal and from npm, is one', async () => {
    const out = at('twice');
    const { child, ended } = start(argv(out));
    await stderrHas(child, 'measuring');
    child.kill('SIGINT');
    setTimeout(() => child.kill('SIGINT'), 20);
    expect((await ended).code).toBe(130);
    expect(readRun(out).partial).toBe(true);
  });

  it('by a reader of everything it says that goes away keeps what there is', async () => {
    const out = at('unread');
    const { child, ended } = start(argv(out));
    await stderrHas(child, 'measuring');
    const asked = performance.now();
    child.stdout?.destroy();
    child.stderr?.destroy();
    // It is noticed at the next step that it would tell of.
    expect((await ended).code).toBe(130);
    expect(performance.now() - asked).toBeLessThan(8000);
    expect(readRun(out).partial).toBe(true);
  });
});
