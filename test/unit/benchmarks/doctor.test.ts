import { describe, expect, it, vi } from 'vitest';
import { doctor, type Findings, factsOf, lines } from '../../../benchmarks/doctor.ts';

const FINDINGS: Findings = {
  environment: {
    cpu: 'Intel(R) Xeon(R) Platinum 8488C with a model name that goes on well past what fits a line',
    cores: 2,
    memoryBytes: 8 * 2 ** 30,
    kernel: 'Linux 6.12.0',
    node: '26.10.0',
    v8: '14.6.202.34-node.34',
    platform: 'linux',
    arch: 'x64',
    copier: 'wasm-memory-copy',
    compiler: null,
    loadAverage: [1.5, 0.4, 0.2],
    stealPercent: 7,
    governor: null,
  },
  copier: {
    picked: 'wasm-memory-copy',
    measured: [
      { name: 'wasm-memory-copy', gigabytesPerSecond: 8 },
      { name: 'typed-array-set', gigabytesPerSecond: 6 },
    ],
  },
  koffiUnavailable: 'koffi is not installed',
  encoderUnavailable: 'node-av is not installed: npm install node-av',
  encoderHardware: [
    { hardware: 'vaapi', device: null, why: 'no /dev/dri/renderD*' },
    { hardware: 'nvenc', device: null, why: 'no /dev/nvidia*' },
  ],
  webSocketUnavailable: 'ws is not installed: npm install ws',
  browser: null,
  memfd: null,
  udmabuf: { access: 'no permission', listLimit: 1024, sizeLimitMb: 64 },
  maxMapCount: 65530,
  imports: 'remap',
};

const text = (findings: Findings) => factsOf(findings).flatMap(lines);
const line = (findings: Findings, name: string) => text(findings).find((each) => each.startsWith(name)) ?? '';

describe('doctor', () => {
  it('every line fits 80 columns, also with long values', () => {
    const wide = { ...FINDINGS, koffiUnavailable: `x${'y'.repeat(200)} ${'z '.repeat(100)}` };
    for (const each of [...text(FINDINGS), ...text(wide)]) expect(each.length, each).toBeLessThanOrEqual(80);
  });

  it('says what follows from a fact', () => {
    expect(line(FINDINGS, 'copier')).toBe('copier        wasm-memory-copy 8.0 GB/s (typed-array-set 6.0); 4K in 4.1 ms');
    expect(line(FINDINGS, 'compiler')).toMatch(/none; the C ping-pong will be unavailable/);
    expect(line(FINDINGS, 'max maps')).toMatch(/65530; enough to map 8 scattered 4K frames/);
    expect(line(FINDINGS, 'imports')).toBe('imports       by remap, mremap makes them one range; for scattered pages of');
    expect(line({ ...FINDINGS, imports: 'udmabuf' }, 'imports')).toMatch(/by udmabuf, the kernel makes them one range/);
    expect(line(FINDINGS, 'cores')).toMatch(/2; one each for guest and host/);
    expect(text(FINDINGS).join(' ').replaceAll(/\s+/g, ' ')).toContain(
      'no memcpy limit, no scanout host or guest, no suite encode or glass',
    );
    expect(line(FINDINGS, 'encoder')).toBe('encoder       no; node-av is not installed: npm install node-av; without it');
    expect(text(FINDINGS).join(' ').replaceAll(/\s+/g, ' ')).toContain(
      'npm install node-av; ws is not installed: npm install ws; until then no scanout stream or view',
    );
    vi.stubEnv('SCANOUT_CHROMIUM', '');
    expect(text(FINDINGS).join(' ').replaceAll(/\s+/g, ' ')).toContain(
      'browser none; the suite glass needs one: install Chromium (Debian: apt-get install chromium)',
    );
    vi.stubEnv('SCANOUT_CHROMIUM', '/no/browser');
    expect(text(FINDINGS).join(' ').replaceAll(/\s+/g, ' ')).toContain('SCANOUT_CHROMIUM is /no/browser, which cannot be run');
    vi.unstubAllEnvs();
    expect(line({ ...FINDINGS, browser: '/usr/bin/chromium' }, 'browser')).toMatch(/\/usr\/bin\/chromium; the suite glass/);
    const encodes = { ...FINDINGS, encoderUnavailable: null };
    expect(line({ ...encodes, webSocketUnavailable: null }, 'stream')).toBe(
      'stream        yes; scanout stream and view show frames in browsers',
    );
    expect(line(encodes, 'encoder')).toBe('encoder       libx264; frames are encoded by software; VAAPI: no');
    const [, nvenc] = FINDINGS.encoderHardware;
    const works = { ...encodes, encoderHardware: [{ hardware: 'vaapi' as const, device: '/dev/dri/renderD128', why: null }, nvenc] };
    expect(text(works).join(' ').replaceAll(/\s+/g, ' ')).toContain(
      'encoder libx264, VAAPI on /dev/dri/renderD128; --encoder auto takes it; NVENC: no /dev/nvidia*',
    );
  });

  it('a busy machine and a hypervisor that takes time away are warned of', () => {
    expect(
      text(FINDINGS)
        .join(' ')
        .match(/expect disturbed repetitions/g),
    ).toHaveLength(2);
    const quiet = {
      ...FINDINGS,
      environment: { ...FINDINGS.environment, loadAverage: [0.1, 0, 0] as [number, number, number], stealPercent: 0 },
    };
    expect(text(quiet).join(' ')).not.toMatch(/disturbed repetitions/);
  });

  it('what cannot be known is called unknown, never 0', () => {
    const blind = { ...FINDINGS, maxMapCount: null, environment: { ...FINDINGS.environment, stealPercent: null } };
    expect(line(blind, 'memfd')).toMatch(/unknown/);
    expect(line(blind, 'max maps')).toMatch(/unknown/);
    expect(line(blind, 'steal')).toMatch(/unknown/);
  });

  it('examines this machine: plain lines, and the same facts as JSON', async () => {
    const plain = await doctor(false);
    expect(plain.endsWith('\n')).toBe(true);
    for (const each of plain.split('\n')) expect(each.length, each).toBeLessThanOrEqual(80);
    const json = JSON.parse(await doctor(true));
    expect(json).toMatchObject({ environment: { node: process.versions.node }, copier: { picked: expect.any(String) } });
    expect(json.facts.map(({ name }: { name: string }) => name)).toEqual(
      plain
        .split('\n')
        .filter((each) => /^\S/.test(each))
        .map((each) => each.slice(0, 14).trim()),
    );
  });
});
