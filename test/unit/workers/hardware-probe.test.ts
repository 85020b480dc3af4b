import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { deviceNodes } from '../../../workers/encode/hardware-nodes.ts';
import {
  chooseEncoder,
  hardwareTried,
  type Probe,
  probeHardware,
  triedWords,
  tryHardware,
} from '../../../workers/encode/hardware-probe.ts';
import { loadNodeAv } from '../../../workers/encode/node-av.ts';

describe('the encoder that is chosen', () => {
  /** Hardware that encodes pictures at most so wide, or none. */
  const probe = (most: { vaapi?: number; nvenc?: number }, asked: string[] = []): Probe => {
    return async (hardware, width) => {
      asked.push(hardware);
      const why = width <= (most[hardware] ?? 0) ? null : 'too wide';
      return { hardware, device: why === null ? '/dev/node' : null, why };
    };
  };

  test('is software where it is asked for, and no hardware is then', async () => {
    const asked: string[] = [];
    expect(await chooseEncoder('software', 64, 64, probe({ vaapi: 99 }, asked))).toEqual({ encoder: 'software', tried: [] });
    expect(asked).toEqual([]);
  });

  test('by itself is the first hardware that encodes the size, else software, and why not the others is known', async () => {
    const asked: string[] = [];
    const both = probe({ vaapi: 1920, nvenc: 4096 }, asked);
    expect((await chooseEncoder('auto', 1920, 1080, both)).encoder).toBe('vaapi');
    expect(asked.splice(0)).toEqual(['vaapi']);
    expect((await chooseEncoder('auto', 3840, 2160, both)).encoder).toBe('nvenc');
    const { encoder, tried } = await chooseEncoder('auto', 7680, 4320, both);
    expect(encoder).toBe('software');
    expect(tried.map(triedWords)).toEqual(['VAAPI: too wide', 'NVENC: too wide']);
  });

  test('is the hardware that is asked for, or an error that says what to do', async () => {
    expect((await chooseEncoder('nvenc', 64, 64, probe({ vaapi: 99, nvenc: 99 }))).tried.map(triedWords)).toEqual(['NVENC on /dev/node']);
    await expect(chooseEncoder('vaapi', 64, 64, probe({ nvenc: 99 }))).rejects.toThrow(
      'VAAPI: too wide. Leave --encoder out, and software encodes',
    );
  });
});

describe('hardware that is tried', () => {
  const run = (script: string, trialMs = 60_000) => tryHardware('vaapi', 64, 48, [process.execPath, '-e', script], trialMs);

  test('is asked in a process of its own for a frame of the size, and its node is known', async () => {
    const script = `console.log('a driver talks'); console.log(JSON.stringify({ device: process.argv.slice(1).join(' '), why: null }))`;
    expect(await run(script)).toEqual({ hardware: 'vaapi', device: 'vaapi 64 48', why: null });
  });

  test('says why not, with the first thing that its library said', async () => {
    const script = `console.error('[VAAPI @ 0x55] Cannot load libva-x11.so.2\\n[CUDA @ 0x55] Cannot load libcuda.so.1\\n[CUDA @ 0x55] Could not'); console.log(JSON.stringify({ device: null, why: 'it cannot be opened' }))`;
    expect((await run(script)).why).toBe('it cannot be opened: Cannot load libcuda.so.1');
  });

  test('may crash, hang or say nothing: that is a message', async () => {
    expect((await run(`process.kill(process.pid, 'SIGSEGV')`)).why).toBe('its driver has ended the trial by SIGSEGV');
    expect((await run('setInterval(() => {}, 1000)', 300)).why).toBe('no frame after 0.3 s');
    expect((await run('process.exit(3)')).why).toBe('the trial has ended without a word (3)');
    expect((await tryHardware('nvenc', 64, 48, ['/no/such/program'])).why).toBe('the trial has ended without a word (ENOENT)');
  });

  test.skipIf(deviceNodes('nvenc').length > 0 || typeof loadNodeAv() === 'string')(
    'is not there on this machine: the library says so',
    async () => {
      expect((await tryHardware('nvenc', 640, 480)).why).toMatch(/^h264_nvenc cannot be opened: .*: Cannot load libcuda/);
      expect((await tryHardware('vaapi', 640, 480)).why).toMatch(/^no \/dev\/dri\/renderD\*$|renderD/);
    },
  );

  test.skipIf(deviceNodes('vaapi').length > 0)('without a device node is not asked at all, and that is kept for the report', async () => {
    expect(hardwareTried(66, 44)).toEqual([]);
    const tried = { hardware: 'vaapi', device: null, why: 'no /dev/dri/renderD*' };
    expect(await probeHardware('vaapi', 66, 44)).toEqual(tried);
    expect(hardwareTried(66, 44)).toEqual([tried]);
    expect(hardwareTried(64, 48)).toEqual([]);
  });
});

test('device nodes are found by their names, the lowest number first', () => {
  const root = mkdtempSync(join(tmpdir(), 'scanout-nodes-'));
  mkdirSync(join(root, 'dev/dri'), { recursive: true });
  for (const name of ['dri/renderD130', 'dri/renderD1000', 'dri/renderD129', 'dri/card0', 'nvidia1', 'nvidia0', 'nvidiactl'])
    writeFileSync(join(root, 'dev', name), '');
  expect(deviceNodes('vaapi', root)).toEqual(['129', '130', '1000'].map((number) => `${root}/dev/dri/renderD${number}`));
  expect(deviceNodes('nvenc', root)).toEqual([`${root}/dev/nvidia0`, `${root}/dev/nvidia1`]);
  expect(deviceNodes('vaapi', join(root, 'nothing'))).toEqual([]);
  rmSync(root, { recursive: true });
});
