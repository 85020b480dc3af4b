/** A process that has hardware encode one frame: its entry file. Arguments: the hardware, width, height. Its last line: a `HardwareTrial`. */
import { argv, stdout } from 'node:process';
import { HARDWARE } from '../../core/machine/options.ts';
import { Format } from '../../core/protocol/constants.ts';
import { openEncoder } from './hardware-encoder.ts';
import { loadNodeAv } from './node-av.ts';

export interface HardwareTrial {
  readonly device: string | null;
  /** Null: it has encoded the frame. */
  readonly why: string | null;
}

/** @throws Error why it cannot */
function encodeOne(name: string, width: number, height: number): string | null {
  const hardware = HARDWARE.find((one) => one === name);
  if (hardware === undefined) throw new Error(`unknown hardware ${name}`);
  const av = loadNodeAv();
  if (typeof av === 'string') throw new Error(av);
  // Which of its libraries is missing FFmpeg says in its log alone.
  av.Log.setLevel(av.AV_LOG_ERROR);
  const encoder = openEncoder(av, hardware, width, height, Format.B8G8R8X8);
  const { slices } = encoder.scratch();
  for (let i = 0; i < slices.rows.length; i++) encoder.convert(slices, i);
  encoder.encode(null, true);
  if (!encoder.isKey) throw new Error('a key frame was asked for, and none came');
  const { device } = encoder;
  encoder.close();
  return device;
}

let trial: HardwareTrial;
try {
  const [, , name = '', width, height] = argv;
  trial = { device: encodeOne(name, Number(width), Number(height)), why: null };
} catch (error) {
  trial = { device: null, why: error instanceof Error ? error.message : String(error) };
}
stdout.write(`${JSON.stringify(trial)}\n`);
