import { describe, expect, it } from 'vitest';
import { type Replacement, ROOT, runScenario, withFixUndone } from '../support/undo-fix.ts';

const SCRIPT = 'test/support/later-fixes.ts';
const PRIME = 'core/guest/prime.ts';
const PLANE = 'core/guest/plane.ts';

/** Each fix as its text in the source, what the driver had before, and how the bug shows then. */
const FIXES: readonly { bug: string; scenario: string; undo: readonly Replacement[]; shows: RegExp }[] = [
  {
    bug: "use after free of the attachment's dma-buf after detach",
    scenario: 'useAfterDetach',
    undo: [
      {
        file: PRIME,
        fixed: '  // Our own reference: after detach the attachment must not be looked at again.\n  dmabuf.put();\n',
        broken: '  attachment?.dmabuf.put();\n',
      },
    ],
    shows: /UseAfterFreeError: attachment of virtio-gpu used after detach/,
  },
  {
    bug: 'reservation read before the attach check',
    scenario: 'reservationBeforeAttachCheck',
    undo: [
      {
        file: PRIME,
        fixed: '  if (attachment !== null) {\n    const { resv } = attachment.dmabuf;\n',
        broken: '  const { resv } = attachment.dmabuf;\n  if (attachment !== null) {\n',
      },
    ],
    shows: /TypeError: Cannot .*null/,
  },
  {
    bug: 'reservation unset: flicker when a buffer migrates from VRAM to RAM',
    scenario: 'reservationUnset',
    undo: [
      { file: PRIME, fixed: '    resv: dmabuf.resv,\n', broken: '    resv: new Reservation(),\n' },
      { file: PRIME, fixed: 'import { FenceUsage } from', broken: 'import { FenceUsage, Reservation } from' },
    ],
    shows: /torn frames: the host showed a buffer while it moved/,
  },
  {
    bug: 'pin leaked when allocating the fence fails',
    scenario: 'pinLeaked',
    undo: [
      {
        file: PLANE,
        fixed: '  const fence = driver.allocateFlushFence();\n  if (fence === null) return NO_FENCE;\n',
        broken: `  if (resource.kind === 'imported' && resource.attachment !== null) {
    resource.attachment.dmabuf.resv.lock();
    resource.attachment.pin();
    resource.attachment.dmabuf.resv.unlock();
  }
  const fence = driver.allocateFlushFence();
  if (fence === null) return NO_FENCE;
`,
      },
      { file: PLANE, fixed: '    const pinned = attachment.pin();\n', broken: '    const pinned = DONE;\n' },
    ],
    shows: /a pin leaked/,
  },
  {
    bug: 'null dereference on fence allocation failure',
    scenario: 'nullFence',
    undo: [{ file: PLANE, fixed: '  if (fence === null) return NO_FENCE;\n', broken: '' }],
    shows: /TypeError: Cannot .*null/,
  },
];

describe("bugs fixed after the driver's merge (virtio-gpu §2)", () => {
  it.each(FIXES)('$bug: not here', ({ scenario }) => {
    expect(runScenario(ROOT, SCRIPT, scenario)).toMatchObject({ passed: true });
  });

  it.each(FIXES)('$bug: found when the fix is undone', ({ scenario, undo, shows }) => {
    const outcome = withFixUndone(undo, (root) => runScenario(root, SCRIPT, scenario));
    expect(outcome.stderr).toMatch(shows);
    expect(outcome.passed).toBe(false);
  });

  it('a copy with nothing undone passes: it is the fix that counts, not the copying', () => {
    withFixUndone([], (root) => {
      for (const { scenario } of FIXES) expect(runScenario(root, SCRIPT, scenario)).toMatchObject({ passed: true });
    });
  });

  it('a text that is not there exactly once is refused', () => {
    expect(() => withFixUndone([{ file: PRIME, fixed: 'no such text', broken: '' }], () => {})).toThrow(/found 0 times/);
    expect(() => withFixUndone([{ file: PRIME, fixed: 'resv', broken: '' }], () => {})).toThrow(/found \d+ times/);
  });
});
