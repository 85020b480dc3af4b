import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { whyNoHost } from '../../../../benchmarks/peers/back-ends.ts';
import { dmaBufDevice, fetchedQemu, installedQemu } from '../../../../benchmarks/peers/qemu.ts';
import { PEERS } from '../../../../benchmarks/peers/suite.ts';
import { scenario } from '../../../../benchmarks/scenarios.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'scanout-qemu-'));
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

test('the program that SCANOUT_VHOST_USER_GPU names is taken, and none where it names nothing that is there', () => {
  const program = join(folder, 'vhost-user-gpu');
  writeFileSync(program, '');
  vi.stubEnv('SCANOUT_VHOST_USER_GPU', program);
  expect(installedQemu()).toMatchObject({ command: program, args: [] });
  vi.stubEnv('SCANOUT_VHOST_USER_GPU', join(folder, 'other'));
  expect(installedQemu()).toBe(null);
  const theirs = scenario({ path: 'copy' }, 'qemu');
  expect(whyNoHost(theirs)).toMatch(/apt-get install qemu-system-gui/);
  expect(whyNoHost(scenario({ path: 'copy' }, 'process'))).toBe(null);
});

test('the fetched one is started by its own loader; its version is that of its package', () => {
  vi.stubEnv('SCANOUT_INTEROP_CACHE', folder);
  expect(fetchedQemu()).toBe(null);
  expect(PEERS.scenarios().some(({ host }) => host === 'qemu-current')).toBe(false);
  for (const [place, text] of [
    ['root/usr/lib/qemu/vhost-user-gpu', ''],
    ['root/lib64/ld-linux-x86-64.so.2', ''],
    [
      'root/var/lib/dpkg/status',
      'Package: a\nVersion: 3\n\nPackage: qemu-system-x86\nStatus: install ok installed\nVersion: 1:11.1.3+ds-1\nDepends: b\n\n',
    ],
  ]) {
    mkdirSync(join(folder, place, '..'), { recursive: true });
    writeFileSync(join(folder, place), text);
  }
  expect(fetchedQemu()).toMatchObject({ version: '11.1.3+ds-1', command: join(folder, 'root/lib64/ld-linux-x86-64.so.2') });
  expect(fetchedQemu()?.args.at(-1)).toBe(join(folder, 'root/usr/lib/qemu/vhost-user-gpu'));
  const ids = PEERS.scenarios().map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
  // Each pair is of two scenarios that the suite has.
  for (const { of, to } of PEERS.pairs?.() ?? []) expect(ids).toEqual(expect.arrayContaining([of, to]));
});

test('a render node or udmabuf is what it makes dma-bufs by; another node of a GPU is not', () => {
  expect(dmaBufDevice(folder)).toBe(null);
  mkdirSync(join(folder, 'dri'));
  writeFileSync(join(folder, 'dri/card0'), '');
  expect(dmaBufDevice(folder)).toBe(null);
  writeFileSync(join(folder, 'udmabuf'), '');
  expect(dmaBufDevice(folder)).toBe(join(folder, 'udmabuf'));
  writeFileSync(join(folder, 'dri/renderD128'), '');
  expect(dmaBufDevice(folder)).toBe(join(folder, 'dri/renderD128'));
});
