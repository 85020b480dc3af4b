/** fast-check arbitraries of requests and responses. */
import fc from 'fast-check';
import type { CommandName, ResponseName } from '../../../core/protocol/constants.ts';
import { Command, MAX_SCANOUTS, Response } from '../../../core/protocol/constants.ts';
import { requestBytes } from '../../../core/protocol/request.ts';

export const u32 = fc.integer({ min: 0, max: 0xffffffff });

/** Wire bytes of any command that decodes: every fixed byte random, entries to match, sometimes trailing bytes. */
export const requestWire: fc.Arbitrary<Uint8Array> = fc.constantFrom(...(Object.keys(Command) as CommandName[])).chain((name) => {
  const entriesWord = name === 'RESOURCE_ATTACH_BACKING' ? 7 : name === 'RESOURCE_CREATE_BLOB' ? 9 : -1;
  const fixed = requestBytes(name);
  return fc.tuple(fc.integer({ min: 0, max: entriesWord < 0 ? 0 : 5 }), fc.integer({ min: 0, max: 9 })).chain(([entries, trailing]) => {
    const length = fixed + 16 * entries + trailing;
    return fc.uint8Array({ minLength: length, maxLength: length }).map((bytes) => {
      const view = new DataView(bytes.buffer);
      view.setUint32(0, Command[name], true);
      if (entriesWord >= 0) view.setUint32(4 * entriesWord, entries, true);
      return bytes;
    });
  });
});

function bodyBytes(name: ResponseName): number {
  switch (name) {
    case 'OK_DISPLAY_INFO':
      return MAX_SCANOUTS * 24;
    case 'OK_EDID':
      return 1032;
    case 'OK_CAPSET_INFO':
    case 'OK_RESOURCE_UUID':
      return 16;
    case 'OK_MAP_INFO':
      return 8;
    default:
      return 0;
  }
}

/** Wire bytes of any response that decodes. */
export const responseWire: fc.Arbitrary<Uint8Array> = fc
  .tuple(fc.constantFrom(...(Object.keys(Response) as ResponseName[])), fc.integer({ min: 0, max: 9 }), fc.integer({ min: 0, max: 1024 }))
  .chain(([name, trailing, edidSize]) => {
    const length = 24 + bodyBytes(name) + trailing;
    return fc.uint8Array({ minLength: length, maxLength: length }).map((bytes) => {
      const view = new DataView(bytes.buffer);
      view.setUint32(0, Response[name], true);
      if (name === 'OK_EDID') view.setUint32(24, edidSize, true);
      return bytes;
    });
  });
