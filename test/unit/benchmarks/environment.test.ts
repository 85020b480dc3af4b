import { describe, expect, it } from 'vitest';
import { maxMapCount, parseCpuTimes, readEnvironment, StealMeter } from '../../../benchmarks/environment.ts';

const STAT = 'cpu  100 5 50 800 20 0 5 20 7 0\ncpu0 50 2 25 400 10 0 2 10 3 0\nintr 1 2\n';

describe('environment', () => {
  it('the cpu line of /proc/stat: steal is its eighth figure, guest time is not counted twice', () => {
    expect(parseCpuTimes(STAT)).toEqual({ total: 1000, steal: 20 });
  });

  it('a /proc/stat without the figure gives null, not 0', () => {
    expect(parseCpuTimes('cpu  1 2 3 4\n')).toBeNull();
    expect(parseCpuTimes('')).toBeNull();
  });

  it('steal is a share of the time between two readings', () => {
    const meter = new StealMeter({ total: 1000, steal: 20 });
    expect(meter.percent({ total: 1200, steal: 30 })).toBe(5);
    expect(meter.percent({ total: 1000, steal: 20 })).toBeNull();
    expect(meter.percent(null)).toBeNull();
    expect(new StealMeter(null).percent({ total: 1, steal: 1 })).toBeNull();
  });

  it('has every field of the run document, with real values', async () => {
    const environment = await readEnvironment('typed-array-set');
    expect(environment).toMatchObject({ copier: 'typed-array-set', node: process.versions.node, v8: process.versions.v8 });
    expect(environment.cpu).not.toBe('');
    expect(environment.cores).toBeGreaterThan(0);
    expect(environment.memoryBytes).toBeGreaterThan(0);
    expect(environment.loadAverage).toHaveLength(3);
    if (process.platform === 'linux') {
      expect(environment.stealPercent).toBeGreaterThanOrEqual(0);
      expect(maxMapCount()).toBeGreaterThan(0);
    }
  });
});
