import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Format } from '../../../core/protocol/constants.ts';
import { Encoder } from '../../../workers/encode/encoder.ts';
import { openEncoder, openVaapi } from '../../../workers/encode/hardware-encoder.ts';
import { loadNodeAv } from '../../../workers/encode/node-av.ts';
import { fakeNodeAv } from '../../support/fake-node-av.ts';

let folder: string;
let nodes: [string, string];
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'scanout-hardware-'));
  nodes = [join(folder, 'renderD128'), join(folder, 'renderD129')];
  for (const node of nodes) writeFileSync(node, '');
});
afterAll(() => rmSync(folder, { recursive: true }));

const FORMAT = Format.B8G8R8X8;
const OPENED = (node: string): string[] => [
  `device.create vaapi ${node}`,
  'surfaces.alloc',
  'surfaces.init vaapi of nv12 64x48',
  'context.option profile constrained_baseline',
  'context.option rc_mode CQP',
  'context.option qp 20',
  'context.option async_depth 1',
  'context.open h264_vaapi vaapi with surfaces',
  'picture.getBuffer nv12 64x48',
  'scale.open to nv12',
];
const FREED = ['context.free', 'frame.free', 'surfaces.free', 'device.free', 'scale.free', 'frame.free', 'packet.free'];

describe('an encoder by VAAPI', () => {
  test('uploads each picture into a surface of its own and sends that; a key frame is one that is asked for', () => {
    const { av, calls } = fakeNodeAv();
    const encoder = openVaapi(av, 65, 49, FORMAT, nodes);
    expect(calls.splice(0)).toEqual(OPENED(nodes[0]));
    expect([encoder.device, encoder.width, encoder.height, encoder.pictureBytes]).toEqual([nodes[0], 64, 48, 64 * 48 * 1.5]);
    const packets: string[] = [];
    for (const key of [false, true]) {
      encoder.encode((packet) => packets.push(String(packet)), key);
      expect([encoder.bytes, encoder.isKey]).toEqual([100, key]);
    }
    const frame = (kind: string): string[] => [
      'surfaces.getBuffer',
      'surfaces.transfer nv12 to vaapi',
      `h264_vaapi.send ${kind}`,
      'context.receive',
    ];
    expect(calls.splice(0)).toEqual([...frame('vaapi'), ...frame('vaapi key')]);
    expect(packets).toEqual(['packet', 'packet']);
    encoder.close();
    expect(calls).toEqual(FREED);
  });

  test.each([
    ['device.create', /it cannot be opened: error -5/],
    ['surfaces.alloc', /Failed to allocate/],
    ['surfaces.init', /no surfaces of 64x48: error -5/],
    ['context.option', /h264_vaapi: profile: error -5/],
    ['context.open', /h264_vaapi cannot be opened: error -5/],
    ['picture.getBuffer', /no memory for a picture: error -5/],
  ])('that fails at %s says so of each GPU, and keeps nothing', (call, why) => {
    const fake = fakeNodeAv();
    fake.fail = { call, from: 1 };
    expect(() => openVaapi(fake.av, 64, 48, FORMAT, nodes)).toThrow(why);
    expect(() => openVaapi(fake.av, 64, 48, FORMAT, nodes)).toThrow(`; ${nodes[1]}: `);
    for (const freed of FREED) {
      const times = fake.calls.filter((one) => one === freed).length;
      expect(times, freed).toBe(freed === 'frame.free' ? 8 : 4);
    }
  });

  test.each([
    ['surfaces.getBuffer', 'no surface: error -5'],
    ['surfaces.transfer', 'upload: error -5'],
    ['h264_vaapi.send', 'h264_vaapi: error -5'],
    ['context.receive', 'h264_vaapi: error -5'],
    ['lag', 'h264_vaapi has taken a frame and given no packet'],
  ])('whose %s fails says so', (call, why) => {
    const fake = fakeNodeAv();
    const encoder = openVaapi(fake.av, 64, 48, FORMAT, nodes);
    fake.fail = { call, from: 1 };
    expect(() => encoder.encode(null)).toThrow(why);
  });

  test("is the second GPU's where the first cannot encode", () => {
    const fake = fakeNodeAv();
    fake.fail = { call: 'surfaces.init', from: 1 };
    const { calls } = fake;
    const heal = calls.push.bind(calls);
    calls.push = (...more) => {
      if (more[0] === 'device.free') fake.fail = null;
      return heal(...more);
    };
    expect(openVaapi(fake.av, 64, 48, FORMAT, nodes).device).toBe(nodes[1]);
  });

  test('says what is missing where there is no node, and what a user lacks who may not open it', () => {
    const { av, calls } = fakeNodeAv();
    expect(() => openVaapi(av, 64, 48, FORMAT, [])).toThrow('no /dev/dri/renderD*');
    expect(() => openVaapi(av, 64, 48, FORMAT, [join(folder, 'gone')])).toThrow(/gone: this user may not open it; who is in its group may/);
    expect(calls.filter((one) => one.startsWith('device.create'))).toEqual([]);
  });
});

test('an encoder by NVENC is sent the converted picture as it lies', () => {
  const { av, calls } = fakeNodeAv();
  const encoder = openEncoder(av, 'nvenc', 64, 48, FORMAT);
  encoder.encode(null, true);
  expect(calls.filter((one) => !one.startsWith('context.option'))).toEqual([
    'context.open h264_nvenc nv12',
    'picture.getBuffer nv12 64x48',
    'scale.open to nv12',
    'h264_nvenc.send nv12 key',
    'context.receive',
  ]);
  expect(calls).toContain('context.option delay 0');
});

const loaded = loadNodeAv();
describe.skipIf(typeof loaded === 'string')('the FFmpeg that is installed', () => {
  const av = loaded as Exclude<typeof loaded, string>;

  test.each(['vaapi', 'nvenc'] as const)('has %s, and takes each of the options that it is given', (name) => {
    const { av: fake, calls } = fakeNodeAv();
    if (name === 'nvenc') openEncoder(fake, name, 64, 48, FORMAT);
    else openVaapi(fake, 64, 48, FORMAT, nodes);
    const codec = av.Codec.findEncoderByName(name === 'vaapi' ? av.FF_ENCODER_H264_VAAPI : av.FF_ENCODER_H264_NVENC);
    expect(codec).not.toBeNull();
    const context = new av.CodecContext();
    context.allocContext3(codec);
    for (const call of calls.filter((one) => one.startsWith('context.option'))) {
      const [, option, value] = call.split(' ');
      expect(context.setOption(option, value), call).toBe(0);
    }
    expect(context.setOption('no_such_option', '1')).toBeLessThan(0);
    context.freeContext();
  });

  test('refuses a node that is no GPU, and leaves nothing behind', () => {
    for (let i = 0; i < 50; i++) expect(() => openVaapi(av, 64, 64, FORMAT, nodes)).toThrow(/renderD129: it cannot be opened: /);
  });

  test('frees an encoder that could not be opened', () => {
    for (let i = 0; i < 50; i++) expect(() => new Encoder(av, 0, 0, FORMAT)).toThrow('libx264 cannot be opened');
  });
});
