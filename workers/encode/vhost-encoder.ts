import type { MachinePlan } from '../../core/machine/plan.ts';
import { Libc } from '../native/libc.ts';
import type { EncodeTap } from '../session.ts';
import { EncodeLog } from './encode-log.ts';
import { type EncodeLink, EncodeThread } from './encode-thread.ts';

/** The encode thread of a vhost-user host, for all its sessions. */
export interface VhostEncoder {
  readonly link: EncodeLink;
  /** An eventfd that it writes: the host's own, which from then on belongs to the host. */
  readonly wakeFd: number;
  /** Why it cannot go on, when that is so. */
  readonly failed: Promise<string>;
  /** Frames encoded so far. */
  readonly encoded: number;
  stop(): Promise<void>;
}

/**
 * @param output a file for the packets of head 0; null: none
 * @param tap who has the packets, too
 * @param fallBack told in a line when software encodes what hardware refuses: the guest decides on its sizes
 * @throws Error why this machine cannot encode
 */
export async function startVhostEncoder(
  { options, originNs }: MachinePlan,
  output: string | null,
  tap?: EncodeTap,
  fallBack: (why: string) => void = () => {},
): Promise<VhostEncoder> {
  const libc = Libc.load();
  if (typeof libc === 'string') throw new Error(libc);
  const { heads, maxRefreshHz, encoder } = options;
  const wakeFd = libc.eventfd();
  // Of its own: the host closes the other at its end, and its number may then be another file's.
  const fd = libc.duplicate(wakeFd);
  try {
    const start = { heads, maxRefreshHz, encoder, originNs, output, wake: { kind: 'eventfd', fd }, fallBack } as const;
    const thread = await EncodeThread.start(tap === undefined ? start : { ...start, packets: tap.packets });
    tap?.started(thread);
    const log = new EncodeLog(thread.link.share.log);
    return {
      link: thread.link,
      wakeFd,
      failed: thread.failed,
      get encoded() {
        return log.count;
      },
      async stop() {
        await thread.stop();
        libc.close(fd);
      },
    };
  } catch (error) {
    libc.close(fd);
    libc.close(wakeFd);
    throw error;
  }
}
