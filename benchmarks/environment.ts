/** The machine as a run found it. What cannot be known here is null, never 0. */
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, machine, release, totalmem, type } from 'node:os';
import type { Environment } from '../reports/run-document.ts';
import { findCompiler } from './compiler.ts';

/** Reads the environment. `steal`: a meter started at the run's begin; null: percent since boot. */
export async function readEnvironment(copier: string, steal: StealMeter | null = null): Promise<Environment> {
  const compiler = await findCompiler();
  const [one, five, fifteen] = loadavg();
  return {
    cpu: cpus()[0]?.model.trim() || machine(),
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    kernel: `${type()} ${release()}`,
    node: process.versions.node,
    v8: process.versions.v8,
    platform: process.platform,
    arch: process.arch,
    copier,
    compiler: compiler?.version ?? null,
    loadAverage: [one, five, fifteen],
    stealPercent: (steal ?? new StealMeter(NO_TIMES)).percent(),
    governor: readLine('/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor'),
  };
}

/** Mappings that one process may have (vm.max_map_count), or null. */
export function maxMapCount(): number | null {
  return numberOf(readLine('/proc/sys/vm/max_map_count'));
}

/** CPU time of all CPUs since boot, in ticks (proc(5), /proc/stat). */
export interface CpuTimes {
  readonly total: number;
  readonly steal: number;
}

const NO_TIMES: CpuTimes = { total: 0, steal: 0 };

/** The `cpu` line of /proc/stat: user nice system idle iowait irq softirq steal; guest times are part of user's. */
export function parseCpuTimes(stat: string): CpuTimes | null {
  const line = /^cpu +([\d ]+)$/m.exec(stat);
  if (!line) return null;
  const ticks = line[1].trim().split(/ +/).map(Number);
  if (ticks.length < 8) return null;
  let total = 0;
  for (let i = 0; i < 8; i++) total += ticks[i];
  return { total, steal: ticks[7] };
}

/** Measures the CPU time that the hypervisor took away between its making and `percent()`. */
export class StealMeter {
  readonly #from: CpuTimes | null;

  constructor(from: CpuTimes | null = readCpuTimes()) {
    this.#from = from;
  }

  /** In percent of all CPUs' time; null when unknown or when no tick has passed. */
  percent(to: CpuTimes | null = readCpuTimes()): number | null {
    if (this.#from === null || to === null) return null;
    const total = to.total - this.#from.total;
    return total > 0 ? ((to.steal - this.#from.steal) / total) * 100 : null;
  }
}

function readCpuTimes(): CpuTimes | null {
  try {
    return parseCpuTimes(readFileSync('/proc/stat', 'utf8'));
  } catch {
    return null;
  }
}

function readLine(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').trim() || null;
  } catch {
    return null;
  }
}

function numberOf(text: string | null): number | null {
  const value = text === null ? Number.NaN : Number(text);
  return Number.isFinite(value) ? value : null;
}
