/** What clinic profiles: the inline runner on this process's main thread. Arguments: machine options as JSON, seconds. */
import type { MachineOptions } from '../../core/machine/options.ts';
import { InlineMachine } from '../../workers/inline.ts';

const FRAMES_A_TURN = 20;

const [options = '{}', seconds = '1'] = process.argv.slice(2);
const machine = new InlineMachine(JSON.parse(options) as MachineOptions);
const until = performance.now() + Number(seconds) * 1000;

/** The event loop turns in between: tools sample from it. */
function turn(): void {
  machine.runFrames(FRAMES_A_TURN);
  if (performance.now() < until) setImmediate(turn);
  else machine.finish();
}
turn();
