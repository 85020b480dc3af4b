import { mutantsOf } from '../mutant.ts';

/** Who looks at the ledger after each path was played. */
const E2E = ['e2e/inline', 'e2e/negative-controls'];

export const LEDGER = [
  ...mutantsOf('ledger/account', 'core/memory/ledger.ts', ['unit/memory/ledger', 'unit/memory/copier'], {
    'copy-not-counted': 'this.#cells[stage * 2] += 1;',
    'bytes-not-counted': 'this.#cells[stage * 2 + 1] += bytes;',
    'never-reset': 'this.#cells.fill(0);',
  }),
  ...mutantsOf('ledger/charge', 'core/memory/copier.ts', ['unit/memory/copier'], {
    copy: ['this.#ledger.charge(stage, bytes);\n  }\n\n  /**\n   * Copies `rows`', '}\n\n  /**\n   * Copies `rows`'],
    rect: ['this.#ledger.charge(stage, bytes);\n  }\n\n  /**\n   * Copies a checked', '}\n\n  /**\n   * Copies a checked'],
    'each-row': [
      'const bytes = rowBytes * rows;\n',
      'const bytes = rowBytes * rows;\n    for (let row = 0; row < rows; row++) this.#ledger.charge(stage, rowBytes);\n',
    ],
  }),
  ...mutantsOf('ledger/stage', 'core/dmabuf/gpu.ts', ['unit/dmabuf/gpu'], {
    migrate: ['CopyStage.migrate', 'CopyStage.upload'],
  }),
  ...mutantsOf('ledger/stage', 'core/sink/display.ts', ['unit/sink/pixels', 'unit/sink/limits'], {
    upload: ['CopyStage.upload', 'CopyStage.transfer'],
  }),
  ...mutantsOf('ledger/stage', 'core/host/cursor.ts', ['unit/host/commands'], {
    cursor: ['CopyStage.cursor', 'CopyStage.transfer'],
  }),
  ...mutantsOf('ledger/stage', 'core/host/commands-2d.ts', ['unit/host/commands', 'unit/host/frames', ...E2E], {
    transfer: ['CopyStage.transfer', 'CopyStage.fallback'],
  }),
  ...mutantsOf('ledger/stage', 'core/host/commands-scanout.ts', ['unit/host/frames', ...E2E], {
    fallback: ['CopyStage.fallback', 'CopyStage.transfer'],
  }),
  ...mutantsOf('ledger/stage', 'core/guest/compositor.ts', ['unit/guest/compositor', ...E2E], {
    readback: ['CopyStage.readback', 'CopyStage.transfer'],
  }),
  ...mutantsOf('ledger/witness', 'core/host/commands-scanout.ts', ['unit/host/frames', ...E2E], {
    'imported-frames-not-counted':
      'if (context.options.space.regions[region.id] === region) context.options.counters.add(Counter.framesImported, shown);',
    'copies-counted-as-imported': ['if (context.options.space.regions[region.id] === region) context', 'context'],
    'ram-counted-as-a-device': ["if (region.kind === 'device') context", 'context'],
  }),
];
