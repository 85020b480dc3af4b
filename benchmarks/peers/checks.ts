import { pathUsesBlob } from '../../core/machine/options.ts';
import type { Check } from '../../reports/run-document.ts';
import type { Measured } from '../checks.ts';

/** Our host as a process, by its own ledger: nothing of an imported frame, one transfer of a copied one and what is sent. null: QEMU's has none. */
export function copiesOfProcess({ scenario: { id, host, options }, timed, verified }: Measured): Check | null {
  if (host !== 'process') return null;
  const imports = pathUsesBlob(options.path);
  const name = imports ? `${id} copies 0 bytes` : `${id} transfers each frame once`;
  const all = [...timed, ...verified];
  for (const { totals } of all) {
    const { transfer, upload, readback, fallback } = totals.bytesByStage;
    const due = imports ? 0 : totals.allFrames * totals.frameBytes;
    // One command that a stop found under way.
    const slack = imports ? 0 : totals.frameBytes;
    const sentTooMuch = imports ? upload > 0 : upload > transfer;
    if (Math.abs(transfer - due) > slack || sentTooMuch || readback + fallback > 0)
      return { name, status: 'fail', detail: `${transfer} bytes transferred and ${upload} sent of ${totals.allFrames} frames` };
  }
  return { name, status: 'pass', detail: `${all.reduce((sum, { totals }) => sum + totals.allFrames, 0)} frames in the ledger` };
}
