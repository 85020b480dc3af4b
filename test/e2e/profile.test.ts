import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { runCommand } from '../../benchmarks/commands/command.ts';
import { profileCommand } from '../../benchmarks/commands/profile.ts';
import { parseCpuProfile } from '../../benchmarks/profile/cpu-profile.ts';
import { writeJavaScript } from '../../benchmarks/profile/strip-types.ts';
import { scenario } from '../../benchmarks/scenarios.ts';
import { descendants, isRunning, type Process } from '../support/processes.ts';

const folder = mkdtempSync(join(tmpdir(), 'scanout-profile-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Said {
  code: number;
  stdout: string;
  stderr: string;
}

async function profile(argv: string[], signal = new AbortController().signal): Promise<Said> {
  const said: Said = { code: -1, stdout: '', stderr: '' };
  said.code = await runCommand(profileCommand, argv, {
    stdout: (text) => {
      said.stdout += text;
    },
    stderr: (text) => {
      said.stderr += text;
    },
    signal,
  });
  return said;
}

describe('scanout profile', () => {
  it('records both threads of the same seconds, and what spins and sleeps by name', async () => {
    const out = join(folder, 'paced');
    const { code, stdout } = await profile(['copy-720p-60hz', '--seconds', '0.5', '--out', out, '--json']);
    expect(code).toBe(0);
    const { threads, frames } = JSON.parse(stdout);
    expect(frames).toBeGreaterThan(10);
    expect(threads.map(({ thread }: { thread: string }) => thread)).toEqual(['guest', 'host']);
    for (const { thread, counters, wallUs, functions } of threads) {
      expect(counters.computeUs + counters.spinUs + counters.sleepUs, thread).toBeCloseTo(wallUs, 0);
      // Most of a paced run is slept, and the sampled function that sleeps says so.
      expect(counters.sleepUs, thread).toBeGreaterThan(0.3 * wallUs);
      expect(functions.find(({ name }: { name: string }) => name === 'blockUntilDeadline')).toMatchObject({ kind: 'sleep' });
      const cpu = parseCpuProfile(readFileSync(join(out, `${thread}.cpuprofile`), 'utf8'), thread);
      expect(cpu.scanout).toMatchObject({ scenario: 'copy-720p-60hz', thread, frames });
      expect(cpu.endTime - cpu.startTime).toBeLessThanOrEqual(wallUs + 1);
      expect(JSON.parse(readFileSync(join(out, `${thread}.heapprofile`), 'utf8'))).toHaveProperty('head');
    }
    const names = (index: number): string[] =>
      threads[index].functions.map(({ file }: { file: string }) => file.split('/').slice(0, 2).join('/'));
    expect(names(0)).not.toContain('core/host');
    expect(names(1)).not.toContain('core/guest');
    expect(readdirSync(out).sort()).toEqual([
      'guest.cpuprofile',
      'guest.heapprofile',
      'host.cpuprofile',
      'host.heapprofile',
      'profile.html',
    ]);
  });

  it('compares with an earlier one', async () => {
    const base = join(folder, 'base');
    expect((await profile(['udmabuf-720p-60hz', '--seconds', '0.2', '--no-heap', '--out', base])).code).toBe(0);
    const again = await profile(['udmabuf-720p-60hz', '--seconds', '0.2', '--no-heap', '--out', join(folder, 'head'), '--diff', base]);
    expect(again).toMatchObject({ code: 0, stdout: expect.stringContaining(`Against ${base}`) });
    const other = await profile(['vfio-720p-60hz', '--seconds', '0.2', '--out', join(folder, 'no'), '--diff', base]);
    expect(other).toMatchObject({ code: 2, stderr: expect.stringContaining('a profile of udmabuf-720p-60hz, not of vfio-720p-60hz') });
  });

  it('takes the id of any scenario, with damage, heads, pages, a fault', async () => {
    for (const id of ['copy-720p-max-1buf-damage64x64+16+32', 'udmabuf-720p-60hz-4k-2heads-lost-kick@2']) {
      const { code, stdout, stderr } = await profile([id, '--seconds', '0.2', '--no-heap', '--out', join(folder, id), '--json']);
      expect(code, stderr).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({ scenario: id });
    }
  });

  it('stops at once, leaving nothing', async () => {
    const out = join(folder, 'stopped');
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 300);
    const { code, stdout, stderr } = await profile(['udmabuf-720p-max', '--seconds', '30', '--out', out], controller.signal);
    expect({ code, stdout }).toEqual({ code: 130, stdout: '' });
    expect(stderr).toContain('stopped: nothing was written');
    expect(readdirSync(out)).toEqual([]);
  });

  it.each([
    [[], /which scenario\?/],
    [['udmabuf'], /no scenario is named "udmabuf": did you mean udmabuf-1080p-max .* use PATH-RESOLUTION-RATE/],
    [['udmabf-4k-max'], /no scenario is named "udmabf-4k-max": did you mean udmabuf-4k-max/],
    [['copy-4k-max-1buf-damge64x64'], /did you mean copy-4k-max-1buf-damage64x64/],
    [['copy-constructor-max'], /unknown resolution 'constructor'/],
    [['udmabuf-4k-max-0buf'], /0 buffers: there are 1 to 16/],
    [['udmabuf-4k-max-host-exits@3'], /host-exits ends the host's thread, and its profile with it/],
    [['udmabuf-5k-max'], /unknown resolution '5k'/],
    [['udmabuf-4k-fast'], /unknown rate 'fast'/],
    [['udmabuf-4k-max', 'vfio-4k-max'], /one scenario at a time/],
    [['udmabuf-4k-max', '--seconds', '0'], /--seconds takes a number from 0\.1 to 60/],
    [['udmabuf-4k-max', '--tool', 'perf'], /--tool takes clinic-flame or/],
    [['udmabuf-4k-max', '--node', '/usr/bin/node'], /--node goes with --tool/],
    [['udmabuf-4k-max', '--diff', '/nowhere.cpuprofile'], /nowhere\.cpuprofile: cannot be read/],
    [['udmabuf-4k-max', '--tool', 'clinic-flame', '--diff', 'x'], /leave out --tool/],
    [['udmabuf-4k-max', '--tool', 'clinic-flame', '--node', '/bin/true'], /--node \/bin\/true: not a Node/],
    [['udmabuf-4k-max', '--tool', 'clinic-doctor'], /clinic-doctor gives no data on Node \d+: name one of version 21 or older/],
  ])('%j is refused in a line', async (argv, why) => {
    const { code, stdout, stderr } = await profile(argv);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(why);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  });
});

describe('under clinic', () => {
  it('a Node that strips no types is given JavaScript', () => {
    const root = join(import.meta.dirname, '../..');
    const program = writeJavaScript(join(root, 'benchmarks/profile/inline-target.ts'), root, join(folder, 'stripped'));
    const options = JSON.stringify(scenario({ path: 'copy', width: 320, height: 200 }).options);
    expect(() => execFileSync(process.execPath, ['--no-strip-types', program, options, '0.05'])).not.toThrow();
  });

  /** What the program says on one line, and the page that the tool drew. */
  const drawn = async (tool: string): Promise<{ said: string; page: string }> => {
    const { code, stdout, stderr } = await profile(['copy-720p-max', '--seconds', '0.2', '--tool', tool, '--out', join(folder, tool)]);
    expect(code, stderr).toBe(0);
    const html = /Profile: (.*\.html)/.exec(stdout)?.[1] ?? '';
    return { said: stdout.replaceAll(/\s+/g, ' '), page: readFileSync(html, 'utf8') };
  };

  it('a tool draws the inline runner, and what it cannot see is said', async () => {
    // By time: of the heap V8 tells what is alive, one in 32 KiB, and a frame leaves next to nothing.
    const { said, page } = await drawn('clinic-flame');
    expect(said).toContain('cannot see worker threads');
    // Not the whole page in the words of a failure.
    expect(page.includes('inline-target')).toBe(true);
  }, 120_000);

  it("a tool of the heap says what of the frames it cannot see, and that it sees this process's main thread only", async () => {
    const { said, page } = await drawn('clinic-heap');
    expect(said).toMatch(/cannot see worker threads.*pixels and rings are shared memory, not JavaScript heap/);
    expect(page.trimStart().slice(0, 15)).toBe('<!DOCTYPE html>');
  }, 120_000);

  it('a tool whose starter is killed leaves no process', async () => {
    const out = join(folder, 'killed-clinic');
    const launcher = join(import.meta.dirname, '../../bin/scanout.js');
    const argv = [launcher, 'profile', 'copy-720p-max', '--seconds', '30', '--tool', 'clinic-flame', '--out', out];
    const child = spawn(process.execPath, argv, { stdio: 'ignore', env: { ...process.env, NODE_OPTIONS: '' } });
    let started: Process[] = [];
    try {
      await expect.poll(() => targets().some((command) => !command.includes('clinic-child')), { timeout: 60_000 }).toBe(true);
      started = descendants(child.pid ?? 0);
      child.kill('SIGKILL');
      await expect.poll(targets, { timeout: 10_000 }).toEqual([]);
    } finally {
      child.kill('SIGKILL');
      for (const { pid } of started) if (isRunning(pid)) process.kill(pid, 'SIGKILL');
    }
  }, 120_000);

  it('a tool that is stopped leaves no process and no file', async () => {
    const out = join(folder, 'stopped-clinic');
    const controller = new AbortController();
    const stopWhenItRuns = setInterval(() => {
      if (targets().some((command) => !command.includes('clinic-child'))) controller.abort();
    }, 50);
    const { code, stdout } = await profile(['copy-720p-max', '--seconds', '30', '--tool', 'clinic-flame', '--out', out], controller.signal);
    clearInterval(stopWhenItRuns);
    expect({ code, stdout }).toEqual({ code: 130, stdout: '' });
    expect(readdirSync(out)).toEqual([]);
    await expect.poll(targets, { timeout: 10_000 }).toEqual([]);
  }, 120_000);
});

/** Commands of the processes that run what is profiled, or that see to it. */
function targets(): string[] {
  return readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return [];
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      return command.includes('inline-target') ? [command] : [];
    } catch {
      return [];
    }
  });
}
