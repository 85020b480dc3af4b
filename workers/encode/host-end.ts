import { type GuestView, hostView } from '../../core/machine/host-machine.ts';
import type { MachinePlan } from '../../core/machine/plan.ts';
import { Libc } from '../native/libc.ts';
import { MappedSideBySide } from '../native/side-by-side.ts';
import { EncodeSink } from './encode-sink.ts';
import { type EncodeLink, encodeBell } from './encode-thread.ts';

/** The host's thread's end of the encoder of a machine, and the guest's memory as it is to be seen then. */
export interface EncodeEnd {
  readonly sink: EncodeSink;
  readonly view: GuestView;
  close(): void;
}

/** Every frame is encoded where neither guest nor encoder has a rate of its own: how many the whole way can then be measured. */
export function openEncodeEnd({ options, regions }: MachinePlan, { share, port }: EncodeLink): EncodeEnd {
  const everyFrame = options.rateHz === null && options.maxRefreshHz === null;
  const sink = new EncodeSink({ share, bell: encodeBell(share), post: (news) => port.postMessage(news), everyFrame });
  const view = hostView(regions);
  const libc = options.memory === 'memfd' ? Libc.load() : 'not mapped';
  // Scattered pages of files can be mapped side by side, so that they are read where they lie; of others they are put together.
  const seen = typeof libc === 'string' ? view : { ...view, sideBySide: new MappedSideBySide(libc) };
  return { sink, view: seen, close: () => port.close() };
}
