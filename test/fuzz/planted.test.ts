import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { FuzzOutcome } from '../../benchmarks/fuzz/run.ts';
import { type Replacement, withFixUndone } from '../support/undo-fix.ts';

/** What the fuzzer and its command line are made of. */
const PARTS = ['benchmarks', 'bin', 'core', 'reports', 'workers', 'test/fixtures'];
/** What 20 s play on an idle machine: on a busy one it takes longer. */
const IN_20_S = { model: 4000, traces: 400, race: 4000 } as const;
const SECONDS = 100;

interface Planted {
  readonly what: string;
  /** The part that finds it. */
  readonly part: 'model' | 'traces' | 'race';
  readonly finds: RegExp;
  readonly replacements: readonly Replacement[];
}

const PLANTED: readonly Planted[] = [
  {
    what: 'a memory entry whose end is not looked at',
    part: 'model',
    finds: /an answer: .*, not ERR_UNSPEC/,
    replacements: [
      {
        file: 'core/host/entries.ts',
        fixed: 'if (!space.translate(address, length)) return false;',
        broken: 'if (!space.translate(address, 1)) return false;',
      },
    ],
  },
  {
    what: 'a transfer whose end is not held against the backing',
    part: 'traces',
    finds: /RangeError: .* do not lie in a buffer/,
    replacements: [
      {
        file: 'core/host/commands-2d.ts',
        fixed: 'if (from + (rows - 1) * stride + rowBytes > backing.length) {',
        broken: 'if (from > backing.length) {',
      },
    ],
  },
  {
    what: 'a framebuffer that may end past its blob',
    part: 'model',
    finds: /an answer: OK_NODATA, not ERR_INVALID_PARAMETER|TypeError: Cannot read/,
    replacements: [
      { file: 'core/host/commands-scanout.ts', fixed: '  if (end > resource.size) return Response.ERR_INVALID_PARAMETER;\n', broken: '' },
    ],
  },
  {
    what: 'a resource that is not freed when the sink lets go of it',
    part: 'model',
    finds: /held: .*bytes, .*segments/,
    replacements: [
      { file: 'core/host/releases.ts', fixed: '          destroy(context, resource);\n', broken: '' },
      { file: 'core/host/releases.ts', fixed: "import { destroy } from './commands-2d.ts';\n", broken: '' },
    ],
  },
  {
    what: 'a count of memory entries that is fetched twice',
    part: 'race',
    finds: /region .* left while its entries were in use/,
    replacements: [
      {
        file: 'core/host/commands-2d.ts',
        fixed: '  if (!resolveEntries(context, Size.attachBacking, count)) return Response.ERR_UNSPEC;\n  if (resource.kind',
        broken: `  if (!resolveEntries(context, Size.attachBacking, count)) return Response.ERR_UNSPEC;
  readChain(context.options.space, context.chain, 4 * AttachBacking.nrEntries, context.bodyBytes, 4 * AttachBacking.nrEntries, 4);
  count = body[AttachBacking.nrEntries];
  if (resource.kind`,
      },
      {
        file: 'core/host/commands-2d.ts',
        fixed: '  const count = body[AttachBacking.nrEntries];',
        broken: '  let count = body[AttachBacking.nrEntries];',
      },
      {
        file: 'core/host/commands-2d.ts',
        fixed: "import { entrySegments, resolveEntries } from './entries.ts';",
        broken: "import { entrySegments, resolveEntries } from './entries.ts';\nimport { readChain } from '../ring/chain.ts';",
      },
    ],
  },
];

test.each(PLANTED)(
  'in its time the fuzzer finds $what ($part)',
  ({ part, finds, replacements }) => {
    const outcome = withFixUndone(replacements, (root) => fuzz(root, part), PARTS);
    expect(outcome.failure?.found.message).toMatch(finds);
    expect(outcome.parts[part].inputs).toBeLessThan(IN_20_S[part]);
  },
  200_000,
);

/** Fuzzes the tree at `root` with a seed that is always the same: what a test finds it has to find again. */
function fuzz(root: string, part: string): FuzzOutcome {
  const argv = ['fuzz', '--seed', '1', '--seconds', String(SECONDS), '--part', part, '--json', '--out', join(root, 'found.json')];
  const { stdout, stderr, status } = spawnSync(process.execPath, [join(root, 'bin', 'scanout.js'), ...argv], {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, NODE_OPTIONS: '' },
    timeout: 180_000,
  });
  expect(status, stderr).toBe(1);
  return JSON.parse(stdout) as FuzzOutcome;
}
