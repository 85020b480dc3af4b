import type { MachinePlan } from '../../core/machine/plan.ts';
import { CursorBoard } from './cursor-board.ts';
import { EncodeSink } from './encode-sink.ts';
import { type EncodeLink, encodeBell } from './encode-thread.ts';

/** The host's thread's end of the encoder of a machine. */
export interface EncodeEnd {
  readonly sink: EncodeSink;
  /** Shown after each turn; null: nobody asks for the cursors. */
  readonly cursors: CursorBoard | null;
  close(): void;
}

/** Every frame is encoded where neither guest nor encoder has a rate of its own: how many the whole way can then be measured. */
export function openEncodeEnd({ options }: MachinePlan, link: EncodeLink): EncodeEnd {
  return openEncodeSink(link, options.rateHz === null && options.maxRefreshHz === null);
}

/** @param everyFrame as `EncodeSinkOptions`' */
export function openEncodeSink({ share, port }: EncodeLink, everyFrame: boolean): EncodeEnd {
  const sink = new EncodeSink({ share, bell: encodeBell(share), post: (news) => port.postMessage(news), everyFrame });
  return { sink, cursors: share.cursors === null ? null : new CursorBoard(share.cursors), close: () => port.close() };
}
