/** A process that encodes test cards by VAAPI. Arguments: a render node, a file for the H.264, width, height, frames, the one that is to be a key frame. */
import { closeSync, openSync, writeSync } from 'node:fs';
import { argv, stdout } from 'node:process';
import { Format } from '../../core/protocol/constants.ts';
import { openVaapi } from '../../workers/encode/hardware-encoder.ts';
import { loadNodeAv } from '../../workers/encode/node-av.ts';
import { drawCard } from './test-card.ts';

const [, , node = '', file = '', ...numbers] = argv;
const [width, height, frames, key] = numbers.map(Number);
const av = loadNodeAv();
if (typeof av === 'string') throw new Error(av);
const encoder = openVaapi(av, width, height, Format.B8G8R8X8, [node]);
const { list, slices } = encoder.scratch();
const output = openSync(file, 'w');
const keys: number[] = [];
let packets = 0;
for (let frame = 0; frame < frames; frame++) {
  drawCard(list, 0, encoder.width * 4, encoder.width, encoder.height, frame);
  for (let i = 0; i < slices.rows.length; i++) encoder.convert(slices, i);
  encoder.encode((packet) => {
    writeSync(output, packet);
    packets++;
  }, frame === key);
  if (encoder.isKey) keys.push(frame);
}
closeSync(output);
encoder.close();
stdout.write(`${JSON.stringify({ packets, keys })}\n`);
