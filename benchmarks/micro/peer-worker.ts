/** The other thread of a peer's benchmark; a worker's entry file. */
import { DESCRIPTOR_WORDS, type PeerPlan, USED_WORDS } from './peers.ts';
import { openRingBuffer } from './ringbuf.ts';
import { threadPlan } from './threads.ts';

const { plan, started } = await threadPlan<PeerPlan>();

if (plan.peer === 'messagechannel') {
  const { port } = plan;
  port.onmessage = ({ data }) => port.postMessage(data);
  started();
} else {
  const available = await openRingBuffer(plan.available);
  const used = await openRingBuffer(plan.used);
  const descriptor = new Uint32Array(DESCRIPTOR_WORDS);
  const element = new Uint32Array(USED_WORDS);
  const { stop } = plan;
  started();
  while (Atomics.load(stop, 0) === 0) {
    for (let empty = 0; empty < 64; ) {
      if (available.pop(descriptor) !== DESCRIPTOR_WORDS) {
        empty++;
        continue;
      }
      empty = 0;
      element[0] = descriptor[3];
      element[1] = descriptor[2];
      used.push(element);
    }
  }
}
