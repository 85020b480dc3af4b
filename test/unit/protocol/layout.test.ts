import { describe, expect, it } from 'vitest';
import { Command, commandName, Feature, Format, formatBytesPerPixel, Response, responseName } from '../../../core/protocol/constants.ts';
import * as layout from '../../../core/protocol/layout.ts';
import * as write from '../../../core/protocol/write.ts';

const { Size } = layout;

describe('wire layout (virtio-gpu §1)', () => {
  it.each([
    ['header', Size.header, 24],
    ['create_2d', Size.create2d, 40],
    ['unref', Size.unref, 32],
    ['detach_backing', Size.detachBacking, 32],
    ['get_edid', Size.getEdid, 32],
    ['set_scanout', Size.setScanout, 48],
    ['flush', Size.flush, 48],
    ['transfer_to_host_2d', Size.transfer, 56],
    ['attach_backing', Size.attachBacking, 32],
    ['mem_entry', Size.memEntry, 16],
    ['create_blob', Size.createBlob, 56],
    ['set_scanout_blob', Size.setScanoutBlob, 96],
    ['assign_uuid', Size.assignUuid, 32],
    ['unmap_blob', Size.unmapBlob, 32],
    ['get_capset_info', Size.getCapsetInfo, 32],
    ['get_capset', Size.getCapset, 32],
    ['map_blob', Size.mapBlob, 40],
    ['resp_map_info', Size.respMapInfo, 32],
    ['resp_capset_info', Size.respCapsetInfo, 40],
    ['resp_uuid', Size.respResourceUuid, 40],
    ['update_cursor', Size.updateCursor, 56],
    ['resp_display_info', Size.respDisplayInfo, 408],
    ['resp_edid', Size.respEdid, 1056],
  ])('%s has the size of the specification', (_name, size, expected) => expect(size).toBe(expected));

  it.each([
    ['create_2d', layout.Create2d, { resource: 24, format: 28, width: 32, height: 36 }],
    ['unref', layout.Resource, { resource: 24, padding: 28 }],
    ['get_edid', layout.GetEdid, { scanout: 24, padding: 28 }],
    ['set_scanout', layout.SetScanout, { x: 24, y: 28, width: 32, height: 36, scanout: 40, resource: 44 }],
    ['flush', layout.Flush, { x: 24, y: 28, width: 32, height: 36, resource: 40, padding: 44 }],
    ['transfer', layout.Transfer, { x: 24, y: 28, width: 32, height: 36, offsetLo: 40, offsetHi: 44, resource: 48, padding: 52 }],
    ['attach_backing', layout.AttachBacking, { resource: 24, nrEntries: 28, entries: 32 }],
    ['mem_entry', layout.MemEntry, { addrLo: 0, addrHi: 4, length: 8, padding: 12 }],
    [
      'create_blob',
      layout.CreateBlob,
      { resource: 24, blobMem: 28, blobFlags: 32, nrEntries: 36, blobIdLo: 40, blobIdHi: 44, sizeLo: 48, sizeHi: 52, entries: 56 },
    ],
    [
      'set_scanout_blob',
      layout.SetScanoutBlob,
      {
        x: 24,
        y: 28,
        width: 32,
        height: 36,
        scanout: 40,
        resource: 44,
        fbWidth: 48,
        fbHeight: 52,
        format: 56,
        padding: 60,
        strides: 64,
        offsets: 80,
      },
    ],
    ['map_blob', layout.MapBlob, { resource: 24, padding: 28, offsetLo: 32, offsetHi: 36 }],
    ['update_cursor', layout.UpdateCursor, { scanout: 24, x: 28, y: 32, posPadding: 36, resource: 40, hotX: 44, hotY: 48, padding: 52 }],
    ['header', layout.Header, { type: 0, flags: 4, fenceLo: 8, fenceHi: 12, ctxId: 16, ringIdx: 20 }],
    ['resp_edid', layout.EdidResponse, { size: 24, padding: 28, edid: 32 }],
  ])('%s has its fields at the offsets of the specification', (_name, words, offsets) => {
    expect(Object.fromEntries(Object.entries(words).map(([field, word]) => [field, 4 * word]))).toEqual(offsets);
  });
});

describe('constants (virtio-gpu §1)', () => {
  it('names every command and response, and says the number of an unknown one', () => {
    for (const [name, type] of Object.entries(Command)) expect(commandName(type)).toBe(name);
    for (const [name, type] of Object.entries(Response)) expect(responseName(type)).toBe(name);
    expect(commandName(0x1ff)).toBe('unknown 0x1ff');
    expect(responseName(Command.SET_SCANOUT)).toBe('unknown 0x103');
  });

  it('numbers commands and responses as the kernel does', () => {
    expect(Object.values(Command)).toEqual([
      0x100, 0x101, 0x102, 0x103, 0x104, 0x105, 0x106, 0x107, 0x108, 0x109, 0x10a, 0x10b, 0x10c, 0x10d, 0x208, 0x209, 0x300, 0x301,
    ]);
    expect(Object.values(Response)).toEqual([
      0x1100, 0x1101, 0x1102, 0x1103, 0x1104, 0x1105, 0x1106, 0x1200, 0x1201, 0x1202, 0x1203, 0x1204, 0x1205,
    ]);
    expect(Object.values(Feature)).toEqual([0, 1, 2, 3, 4, 5, 28, 29, 32, 33, 34, 35]);
  });

  it('gives four bytes a pixel for the eight formats and none for any other number', () => {
    const known = new Set<number>(Object.values(Format));
    expect([...known]).toEqual([1, 2, 3, 4, 67, 68, 121, 134]);
    for (let format = 0; format < 300; format++) expect(formatBytesPerPixel(format)).toBe(known.has(format) ? 4 : 0);
  });
});

describe('request writers', () => {
  const AT = 5;
  const writers: [string, number, (w: Uint32Array) => number][] = [
    ['writeSimple', Size.header, (w) => write.writeSimple(w, AT, 1)],
    ['writeCreate2d', Size.create2d, (w) => write.writeCreate2d(w, AT, 1, 2, 3, 4)],
    ['writeResource', Size.resource, (w) => write.writeResource(w, AT, 1, 2)],
    ['writeAssignUuid', Size.assignUuid, (w) => write.writeAssignUuid(w, AT, 2)],
    ['writeMapBlob', Size.mapBlob, (w) => write.writeMapBlob(w, AT, 1, 2, 3)],
    ['writeUnmapBlob', Size.unmapBlob, (w) => write.writeUnmapBlob(w, AT, 1)],
    ['writeSetScanout', Size.setScanout, (w) => write.writeSetScanout(w, AT, 1, 2, 3, 4, 5, 6)],
    ['writeSetScanoutBlob', Size.setScanoutBlob, (w) => write.writeSetScanoutBlob(w, AT, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)],
    ['writeFlush', Size.flush, (w) => write.writeFlush(w, AT, 1, 2, 3, 4, 5)],
    ['writeTransfer', Size.transfer, (w) => write.writeTransfer(w, AT, 1, 2, 3, 4, 5, 6, 7)],
    ['writeAttachBacking', Size.attachBacking, (w) => write.writeAttachBacking(w, AT, 1, 2)],
    ['writeCreateBlob', Size.createBlob, (w) => write.writeCreateBlob(w, AT, 1, 2, 3, 4, 5, 6, 7, 8)],
    ['writeMemEntry', Size.memEntry, (w) => write.writeMemEntry(w, AT, 1, 2, 3)],
    ['writeGetEdid', Size.getEdid, (w) => write.writeGetEdid(w, AT, 1)],
    ['writeGetCapsetInfo', Size.getCapsetInfo, (w) => write.writeGetCapsetInfo(w, AT, 1)],
    ['writeGetCapset', Size.getCapset, (w) => write.writeGetCapset(w, AT, 1, 2)],
    ['writeUpdateCursor', Size.updateCursor, (w) => write.writeUpdateCursor(w, AT, Command.UPDATE_CURSOR, 1, 2, 3, 4, 5, 6)],
  ];

  it.each(writers)('%s stores every word of its structure, and no other', (_name, size, writer) => {
    const low = new Uint32Array(40).fill(0xaaaaaaaa);
    const high = new Uint32Array(40).fill(0x55555555);
    expect(writer(low)).toBe(size);
    expect(writer(high)).toBe(size);
    for (let i = 0; i < low.length; i++) {
      const inside = i >= AT && i < AT + size / 4;
      expect([i, low[i] === high[i]]).toEqual([i, inside]);
    }
  });

  it('setFence sets flag and id and leaves the rest', () => {
    const w = new Uint32Array(8);
    write.writeSimple(w, 0, Command.GET_DISPLAY_INFO);
    w[1] = 2;
    write.setFence(w, 0, 0xfffffffe, 7);
    expect([...w]).toEqual([Command.GET_DISPLAY_INFO, 3, 0xfffffffe, 7, 0, 0, 0, 0]);
  });
});
