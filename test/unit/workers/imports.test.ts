import { describe, expect, test } from 'vitest';
import { importsHere, importsOf, openImports, whyNoImports } from '../../../workers/native/imports.ts';
import { Libc } from '../../../workers/native/libc.ts';
import { udmabufAccess } from '../../../workers/native/udmabuf-device.ts';

const loaded = Libc.load();
const hasDevice = udmabufAccess() === 'usable';

describe('how scattered imports become one range', () => {
  test('is what was asked for; auto is the first that this machine has', () => {
    for (const by of ['udmabuf', 'remap', 'list'] as const) expect(importsHere(by)).toBe(by);
    expect(importsHere('auto')).toBe(typeof loaded === 'string' ? 'list' : hasDevice ? 'udmabuf' : 'remap');
  });

  test('between threads is nothing where the memory is no file, and auto remaps for an encoder alone', () => {
    expect(importsOf({ memory: 'shared', importBy: 'remap', sink: 'encode' })).toBe('list');
    expect(importsOf({ memory: 'memfd', importBy: 'remap', sink: 'latch' })).toBe('remap');
    expect(importsOf({ memory: 'memfd', importBy: 'auto', sink: 'encode' })).toBe(importsHere('auto'));
    if (!hasDevice) expect(importsOf({ memory: 'memfd', importBy: 'auto', sink: 'latch' })).toBe('list');
  });

  test.skipIf(hasDevice)('by udmabuf takes its device: who asks is told what to do', () => {
    expect(whyNoImports('udmabuf')).toMatch(/^\/dev\/udmabuf (is absent|may not be read and written): .*, or name remap or list$/);
    expect(whyNoImports('auto')).toBeNull();
  });

  test.skipIf(typeof loaded === 'string' || hasDevice)('is not opened by udmabuf without its device', () => {
    expect(() => openImports(loaded as Libc, 'udmabuf', 'refuse', () => null)).toThrow(/^\/dev\/udmabuf /);
    expect(openImports(loaded as Libc, 'list', 'refuse', () => null).sideBySide).toBeUndefined();
  });
});
