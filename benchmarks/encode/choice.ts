/** By what frames are encoded: what is asked for, and what this machine has. */
import type { MachineOptions } from '../../core/machine/options.ts';
import type { ScenarioEncoder } from '../../reports/encode-document.ts';
import { wrap } from '../../reports/terminal.ts';
import {
  chooseEncoder,
  ENCODER_WISHES,
  type EncoderChoice,
  type EncoderWish,
  hardwareTried,
  triedWords,
} from '../../workers/encode/hardware-probe.ts';
import { onHost } from '../realguest/recorded.ts';
import { type Scenario, ScenarioError, scenario } from '../scenarios.ts';

/** For the help of whoever has the flag. @param column where that help's explanations begin */
export function encoderHelp(column = 22): string {
  return [
    `${'  --encoder NAME'.padEnd(column)}software, vaapi, nvenc, or auto: the first hardware that`,
    `${' '.repeat(column)}encodes a frame when it is tried, else software (auto)`,
  ].join('\n');
}

/** The flag's word. @throws ScenarioError */
export function encoderWish(text: string | undefined): EncoderWish | undefined {
  if (text === undefined) return undefined;
  const wish = ENCODER_WISHES.find((one) => one === text);
  if (wish === undefined) throw new ScenarioError(`--encoder takes ${ENCODER_WISHES.join(', ')}, not ${JSON.stringify(text)}`);
  return wish;
}

type Size = Pick<MachineOptions, 'width' | 'height'>;

/** @throws ScenarioError why the hardware that was asked for does not encode that size */
export async function hardwareFor(wish: EncoderWish = 'auto', { width, height }: Size): Promise<EncoderChoice> {
  try {
    return await chooseEncoder(wish, width, height);
  } catch (error) {
    throw new ScenarioError(`--encoder ${wish}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** The scenarios, those that encode by what this machine has for their size. @throws ScenarioError */
export async function withEncoders(scenarios: readonly Scenario[], wish: EncoderWish | undefined): Promise<Scenario[]> {
  if (wish !== undefined && !scenarios.some(({ options }) => options.sink === 'encode'))
    throw new ScenarioError('--encoder is for --sink encode');
  const chosen: Scenario[] = [];
  for (const one of scenarios) {
    const { encoder } = one.options.sink === 'encode' ? await hardwareFor(wish, one.options) : one.options;
    if (encoder === one.options.encoder) chosen.push(one);
    else chosen.push(one.recorded === undefined ? scenario({ ...one.options, encoder }, one.host) : onHost(one, { encoder }));
  }
  return chosen;
}

/** `encoder: software (VAAPI: no /dev/dri/renderD*; …)`, in lines for who waits. */
export function encoderWords({ encoder, tried }: EncoderChoice): string {
  const why = tried.length === 0 ? '' : ` (${tried.map(triedWords).join('; ')})`;
  return wrap(`encoder: ${encoder}${why}`, 2).join('\n');
}

/** What a run's document says of the hardware for a scenario. */
export function hardwareRecord({ width, height, encoder }: MachineOptions): Pick<ScenarioEncoder, 'devices' | 'notUsed'> {
  const tried = hardwareTried(width, height);
  return {
    devices: tried.filter(({ hardware, why }) => hardware === encoder && why === null).map(triedWords),
    notUsed: tried.filter(({ why }) => why !== null).map(triedWords),
  };
}
