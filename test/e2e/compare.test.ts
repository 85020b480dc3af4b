import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { dispatch } from '../../benchmarks/cli.ts';
import type { RunDocument } from '../../reports/run-document.ts';
import { fakeSide } from '../support/fake-side.ts';
import { isRunning } from '../support/processes.ts';
import { buildRun, buildScenario, hostWork } from '../support/run-document.ts';

const root = join(import.meta.dirname, '../..');
const scratch = mkdtempSync(join(tmpdir(), 'scanout-compare-e2e-'));
// What the commands leave behind would lie here.
process.env['TMPDIR'] = scratch;
const at = (name: string): string => join(scratch, name);
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

interface Said {
  code: number;
  stdout: string;
  stderr: string;
}

async function say(signal: AbortSignal, ...argv: string[]): Promise<Said> {
  const said = { stdout: '', stderr: '' };
  const code = await dispatch(argv, {
    stdout: (text) => {
      said.stdout += text;
    },
    stderr: (text) => {
      said.stderr += text;
    },
    signal,
  });
  return { code, ...said };
}
/** A run that should have been refused ends at once. */
const refused = (...argv: string[]): Promise<Said> => say(AbortSignal.abort(new Error('stopped')), ...argv);
const going = (...argv: string[]): Promise<Said> => say(new AbortController().signal, ...argv);

function stored(name: string, factor: number, change: (run: ReturnType<typeof buildRun>) => void = () => {}): string {
  const scenario = buildScenario({ path: 'copy', rateHz: null, repetitions: 10 });
  for (const [i, repetition] of scenario.repetitions.entries()) hostWork(repetition).p50 = 100 * factor * (1 + i * 0.001);
  const run = buildRun({ scenarios: [scenario] });
  change(run);
  writeFileSync(at(name), JSON.stringify(run));
  return at(name);
}
const base = stored('base.json', 1);
const slow = stored('slow.json', 1.2);
const same = stored('same.json', 1.0000001);
const other = stored('other.json', 1, (run) => Object.assign(run.scenarios[0], { id: 'nothing-like-it' }));
const gateFile = at('gate.json');
writeFileSync(gateFile, '{"thresholds": {"*": ["hostServiceUs.p50 < +5%"]}}');
const SMALL = ['--path', 'copy', '--resolution', '64x64', '--rate', 'max'];

describe('stored runs', () => {
  it('exit codes: 1 regressed, 0 not, 3 inconclusive only with --strict', async () => {
    const metrics = ['--metrics', 'hostServiceUs.p50'];
    expect(await going('compare', base, slow, ...metrics)).toMatchObject({ code: 1, stdout: expect.stringMatching(/^REGRESSED/) });
    expect(await going('compare', slow, base, ...metrics)).toMatchObject({ code: 0, stdout: expect.stringMatching(/^IMPROVED/) });
    expect(await going('compare', base, same, ...metrics)).toMatchObject({ code: 0, stdout: expect.stringMatching(/^EQUIVALENT/) });
    const few = stored('few.json', 2, (run) => run.scenarios[0].repetitions.splice(2, 8));
    expect((await going('compare', base, few, ...metrics)).code).toBe(0);
    expect((await going('compare', base, few, ...metrics, '--strict')).code).toBe(3);
  });

  it('--json has the published fields', async () => {
    const { stdout } = await going('compare', base, slow, '--json');
    const document = JSON.parse(stdout);
    expect(document.verdict).toBe('regressed');
    for (const field of ['scenario', 'metric', 'ratio', 'low', 'high', 'verdict']) expect(document.comparisons[0]).toHaveProperty(field);
  });

  it('a gate passes, fails with the reason on the first line, appends its summary, and calls a broken run invalid', async () => {
    expect(await going('gate', '--config', gateFile, base, same)).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^gate passed: 1 /),
    });
    const summary = at('summary.md');
    writeFileSync(summary, 'before\n');
    const failed = await going('gate', '--config', gateFile, base, slow, '--summary', summary);
    expect(failed).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(/^gate failed: copy-2160p-max: hostServiceUs.p50 < \+5%, measured \+20/),
    });
    expect(readFileSync(summary, 'utf8')).toMatch(/^before\n### ✗ gate failed/);
    const broken = stored('broken.json', 1, (run) => run.checks.push({ name: 'tears no frame', status: 'fail', detail: '3 torn' }));
    expect(await going('gate', '--config', gateFile, base, broken)).toMatchObject({
      code: 4,
      stdout: expect.stringMatching(/^gate invalid: .*3 torn/),
    });
  });
});

describe('wrong input', () => {
  const unknown = stored('unknown.json', 1, (run) => Object.assign(run, { schemaVersion: 9 }));
  const elsewhere = stored('elsewhere.json', 1, (run) => Object.assign(run.environment, { cpu: 'another' }));
  writeFileSync(at('truncated.json'), readFileSync(base, 'utf8').slice(0, 3000));
  writeFileSync(at('cal.json'), '{"schemaVersion": 7}');
  const config = ['--config', gateFile];

  it.each([
    ['one side', ['compare', base], /two sides/],
    ['an unknown schema version', ['compare', base, unknown], /schemaVersion 9 is unknown/],
    ['truncated JSON', ['compare', at('truncated.json'), base], /cut off before its end/],
    ['no such file', ['compare', base, at('none.json')], /none\.json: cannot be read/],
    ['no common scenarios', ['compare', base, other], /no common scenarios/],
    ['other environments', ['compare', base, elsewhere], /different environments: cpu/],
    ['an unknown metric', ['compare', base, same, '--metrics', 'fsp'], /no metric "fsp"/],
    ['a margin of nothing', ['compare', base, same, '--margin', '0'], /--margin takes/],
    ['run flags without --live', ['compare', base, same, '--', '--path', 'copy'], /for --live/],
    ['pairs without --live', ['compare', base, same, '--max-pairs', '5'], /--max-pairs is for --live/],
    ['an unknown revision', ['compare', '--live', 'no-such-revision', '.'], /no-such-revision: neither a directory nor a revision/],
    ['a directory without the program', ['compare', '--live', scratch, '.'], /no bin\/scanout\.js/],
    ['a file as a live side', ['compare', '--live', base, '.'], /a file; --live compares/],
    ['a gate without thresholds', ['gate', base, same], /--config is missing/],
    ['a gate whose file is missing', ['gate', '--config', at('no.json'), base, same], /no\.json: cannot be read/],
    ['a percentage without a base', ['gate', ...config, same], /needs a BASE/],
    ['a calibration of another version', ['gate', ...config, '--calibration', at('cal.json'), base, same], /schemaVersion 7 is unknown/],
    ['a summary that cannot be written', ['gate', ...config, base, same, '--summary', join(scratch, 'no', 'x.md')], /cannot be written/],
    ['too few pairs to calibrate', ['calibrate', '--max-pairs', '3'], /--max-pairs takes a whole number from 8/],
    ['an unknown metric to calibrate', ['calibrate', '--metrics', 'x'], /no metric "x"/],
    ['a folder for a calibration', ['calibrate', '--out', scratch], /a folder, not a file/],
    ['pairs of a gate without --live', ['gate', ...config, base, same, '--max-pairs', '5'], /--max-pairs is for --live/],
    ['a seed of a gate without --live', ['gate', ...config, base, same, '--seed', '5'], /--seed is for --live/],
    ['a gate of three sides', ['gate', ...config, base, same, same], /two sides, BASE and HEAD, not 3/],
    ['live sides of different machines', ['compare', '--live', '--across-environments', '.', '.'], /--across-environments is for stored/],
    ['a side that is to be run oftener', ['compare', '--live', '.', '.', '--', '--repetitions', '5'], /"--repetitions" cannot follow --/],
    ['a side with a seed', ['gate', ...config, '--live', '.', '.', '--', '--seed=5'], /"--seed=5" cannot follow --: give it before/],
    ['sides that write', ['compare', '--live', '.', '.', '--', '--out', 'out'], /"--out" cannot follow --: leave it out/],
    ['a calibration that is to be kept', ['calibrate', '--', '--keep'], /"--keep" cannot follow --/],
  ])('%s: one line, exit code 2, nothing printed', async (_name, argv, words) => {
    const { code, stdout, stderr } = await going(...argv);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    const lines = stderr.trim().split('\n');
    expect(lines.at(-1)).toMatch(words);
    expect(lines.filter((line) => line.startsWith('scanout '))).toHaveLength(1);
  });

  it('a gate tighter than this machine resolves is refused with the figure', async () => {
    const { environment } = JSON.parse(readFileSync(base, 'utf8'));
    const calibration = { schemaVersion: 1, environment, scenario: 'copy-2160p-max', maxPairs: 16 };
    writeFileSync(
      at('fine.json'),
      JSON.stringify({ ...calibration, metrics: [{ metric: 'hostServiceUs.p50', smallestDetectable: 0.08 }] }),
    );
    const said = await going('gate', ...config, '--calibration', at('fine.json'), base, slow);
    expect(said).toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringMatching(/tighter than this machine can resolve: no change below 8%/),
    });
  });

  it('each command has help with examples, within 80 columns', async () => {
    for (const name of ['compare', 'gate', 'calibrate']) {
      const { code, stdout } = await refused(name, '--help');
      expect(code).toBe(0);
      expect(stdout).toContain('Examples:');
      for (const line of stdout.split('\n')) expect([...line].length, line).toBeLessThanOrEqual(80);
    }
  });
});

describe('an invalid run', () => {
  it('that is stored is compared, and exit code 4', async () => {
    const torn = stored('torn.json', 1, (run) => run.checks.push({ name: 'tears no frame', status: 'fail', detail: '3 torn' }));
    const said = await going('compare', base, torn, '--metrics', 'hostServiceUs.p50');
    expect(said).toMatchObject({ code: 4, stderr: expect.stringMatching(/a run is invalid: tears no frame: 3 torn/) });
    expect(said.stdout).toMatch(/head is an INVALID RUN: tears no\s+frame: 3 torn/);
  });

  it('that could not tell whether it missed vblanks passes no gate', async () => {
    const name = 'vfio misses no vblank in 600 undisturbed frames';
    const unsure = stored('unsure.json', 1, (run) => run.checks.push({ name, status: 'inconclusive', detail: 'too disturbed' }));
    expect(await going('gate', '--config', gateFile, base, unsure)).toMatchObject({
      code: 4,
      stdout: expect.stringMatching(/^gate invalid/),
    });
  });

  it('that is partial and lacks a scenario passes no gate', async () => {
    const both = stored('both.json', 1, (run) => run.scenarios.push(buildScenario({ path: 'vfio', rateHz: null, repetitions: 10 })));
    const half = stored('half.json', 1, (run) => Object.assign(run, { partial: true, partialReason: 'stopped before its end' }));
    expect(await going('gate', '--config', gateFile, both, half)).toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringMatching(/base has and head has not/),
    });
    expect((await going('gate', '--config', gateFile, base, half)).stdout).toMatch(/head is a partial run/);
  });
});

/** They start a dozen processes, which takes a busy machine its time. */
const MANY_PROCESSES = { timeout: 120_000 };

describe('sides that are not as they should be', MANY_PROCESSES, () => {
  const document = (factor = 1): RunDocument =>
    JSON.parse(
      readFileSync(
        stored('side.json', factor, (run) => run.scenarios[0].repetitions.splice(1, 9)),
        'utf8',
      ),
    );
  const good = fakeSide(at('good side'), document());
  const live = (command: 'compare' | 'gate', head: string, ...more: string[]): Promise<Said> =>
    going(command, '--live', good, head, ...(command === 'gate' ? ['--config', gateFile] : []), '--max-pairs', '8', ...more);

  it('a healthy one is compared: the same figures are equivalent, slower ones regress, and fail a gate', async () => {
    expect(await live('compare', good, '--metrics', 'fps')).toMatchObject({ code: 0, stdout: expect.stringMatching(/^EQUIVALENT/) });
    const worse = fakeSide(at('worse'), document(1.3));
    expect(await live('compare', worse, '--metrics', 'hostServiceUs.p50')).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(/^REGRESSED/),
    });
    expect(await live('gate', worse)).toMatchObject({ code: 1, stdout: expect.stringMatching(/^gate failed/) });
  });

  it('too few pairs for what is compared are said under the verdict', async () => {
    const { stdout } = await live('compare', good, '--strict');
    expect(stdout.split('\n')[1]).toMatch(/^> 8 pairs can show no change/);
    expect(stdout).toMatch(/--max-pairs\s+10\s+or\s+more/);
  });

  it.each([
    ['one that does not start', 'let = ;', 4, /SyntaxError: /],
    ['one that dies', 'process.kill(process.pid, "SIGKILL");', 4, /the run ended by SIGKILL, as for want of memory/],
    [
      'one that calls its run invalid for a reason of its own',
      'console.error("scanout run: the sink melted"); process.exitCode = 4;',
      4,
      /sink melted/,
    ],
    ['one that says nothing', 'process.exit(0);', 2, /not JSON: it is empty/],
    [
      'one that ends early',
      `process.stdout.write(readFileSync(__dirname + '/../run.json', 'utf8').replace('"partial":false', '"partial":true')); process.exit(0);`,
      4,
      /the run is partial/,
    ],
  ])('%s', async (name, script, code, words) => {
    const summary = at('side.md');
    rmSync(summary, { force: true });
    const said = await live('gate', fakeSide(at(name), document(), script), '--summary', summary);
    expect(said).toMatchObject({ code, stdout: '', stderr: expect.stringMatching(words) });
    expect(readFileSync(summary, 'utf8')).toMatch(/^### ✗ gate not decided: /);
  });

  it('runs of a comparison are kept in no history', async () => {
    process.env['SCANOUT_HISTORY'] = at('history');
    const keeper = fakeSide(at('keeper'), document(), 'if (process.env.SCANOUT_HISTORY) process.exit(9);');
    const { code } = await going('compare', '--live', good, keeper, '--max-pairs', '1').finally(
      () => delete process.env['SCANOUT_HISTORY'],
    );
    expect(code).toBe(0);
  });

  it('what was decided wrongly for want of a scenario stands in the summary', async () => {
    const summary = at('lost.md');
    const said = await going('gate', '--config', gateFile, base, other, '--summary', summary);
    expect(said.code).toBe(2);
    expect(readFileSync(summary, 'utf8')).toMatch(/gate not decided: .*base has and head has not/);
  });

  it('Ctrl-C twice ends it at once, and neither folder nor process is left', async () => {
    const pidFile = at('pid');
    const deaf = `process.on('SIGTERM', () => {}); process.on('SIGINT', () => {}); writeFileSync(${JSON.stringify(pidFile)}, String(process.pid)); for (;;);`;
    const argv = [join(root, 'bin/scanout.js'), 'compare', '--live', good, fakeSide(at('deaf'), document(), deaf)];
    const own = mkdtempSync(join(scratch, 'tmp-'));
    const child = spawn(process.execPath, argv, { stdio: 'ignore', env: { ...process.env, NODE_OPTIONS: '', TMPDIR: own } });
    const closed = once(child, 'close');
    await vi.waitFor(() => expect(readFileSync(pidFile, 'utf8')).toMatch(/^\d+$/), 20_000);
    expect(readdirSync(own).length).toBe(1);
    // Signals in quick succession count as one.
    const asking = setInterval(() => child.kill('SIGINT'), 100);
    const [code] = await closed.finally(() => clearInterval(asking));
    expect(code).toBe(130);
    expect(readdirSync(own)).toEqual([]);
    const pid = Number(readFileSync(pidFile, 'utf8'));
    await vi.waitFor(() => expect(isRunning(pid)).toBe(false), 5000);
  });
});

describe('live', MANY_PROCESSES, () => {
  const temporaries = (): string[] => readdirSync(tmpdir()).filter((name) => /^scanout-(compare|calibrate)-\w{6}$/.test(name));

  it('a revision is compared with the working tree in fresh processes, and nothing is left behind', async () => {
    const before = temporaries();
    const { code, stdout, stderr } = await going('compare', '--live', 'HEAD', root, '--max-pairs', '2', '--json', '--', ...SMALL);
    expect(stderr).toMatch(/unpacking HEAD \([0-9a-f]{12}\)/);
    expect(code).toBe(0);
    const document = JSON.parse(stdout);
    expect(document).toMatchObject({ partial: false, verdict: 'inconclusive' });
    expect(document.comparisons[0]).toMatchObject({ scenario: 'copy-64x64-max', metric: 'hostServiceUs.p50', pairs: 2, paired: true });
    expect(temporaries()).toEqual(before);
  });

  it('flags that a side refuses are its words, exit code 2', async () => {
    const said = await going('compare', '--live', root, root, '--', '--path', 'nope');
    expect(said).toMatchObject({ code: 2, stdout: '', stderr: expect.stringMatching(/unknown path 'nope'/) });
  });

  it('Ctrl-C ends a calibration with what is complete; before that it writes nothing', async () => {
    const out = at('calibration.json');
    const before = temporaries();
    const argv = [join(root, 'bin/scanout.js'), 'calibrate', '--comparisons', '1', '--out', out, '--', ...SMALL];
    const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, NODE_OPTIONS: '' } });
    let stderr = '';
    let stopped = false;
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
      if (!stopped && stderr.includes('pair 2 of')) {
        stopped = true;
        child.kill('SIGINT');
      }
    });
    const [code] = await once(child, 'close');
    expect(stderr).toMatch(/stopped before a comparison was complete; nothing is written/);
    expect(code).toBe(130);
    expect(existsSync(out)).toBe(false);
    expect(temporaries()).toEqual(before);
  });
});
