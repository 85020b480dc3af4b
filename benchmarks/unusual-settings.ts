import { faultText } from '../core/machine/faults.ts';
import { DEFAULT_OPTIONS, type MachineOptions } from '../core/machine/options.ts';
import { importsOf } from '../workers/native/imports.ts';
import { contentWords } from './content.ts';
import { usualScanoutUs } from './scenarios.ts';

/** Settings that have no field of their own and are not as usual: without them two records could not be told apart. */
export function unusualSettings(options: MachineOptions): Record<string, string | number | boolean> {
  const settings: Record<string, string | number | boolean> = {};
  for (const name of [
    'encoder',
    'policy',
    'profile',
    'listLimit',
    'sizeLimitMb',
    'linuxPacing',
    'transferOnly',
    'fences',
    'inOrder',
    'memory',
    'migrateEvery',
    'spinUs',
    'handicapPercent',
  ] as const) {
    if (options[name] !== DEFAULT_OPTIONS[name]) settings[name] = options[name];
  }
  if (options.memory === 'memfd') settings['importBy'] = importsOf(options);
  if (options.faults.length > 0) settings['faults'] = options.faults.map(faultText).join(', ');
  if (options.scanoutUs !== usualScanoutUs(options.rateHz)) settings['scanoutUs'] = options.scanoutUs;
  const { damage, content } = options;
  if (content !== undefined) settings['content'] = contentWords(content);
  if (damage !== null) settings['damage'] = `${damage.width}x${damage.height}+${damage.x}+${damage.y}`;
  return settings;
}
