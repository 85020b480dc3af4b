import { counted, grouped, plain } from './format.ts';
import { rowName } from './row-name.ts';
import type { Scenario, SettingValue } from './run-document.ts';
import type { Group } from './summary.ts';

type Setting = 'sink' | 'ring' | 'layout' | 'renderer' | 'buffers' | 'heads' | 'host';
const SETTINGS: readonly Setting[] = ['sink', 'ring', 'layout', 'renderer', 'buffers', 'heads', 'host'];

function settingWords(setting: Setting, scenario: Scenario): string {
  switch (setting) {
    case 'sink':
      return `${scenario.sink} sink`;
    case 'ring':
      return `${scenario.ring} ring`;
    case 'layout':
      return scenario.layout === 'contiguous' ? 'contiguous pages' : `${scenario.layout} pages`;
    case 'renderer':
      return `${scenario.renderer} renderer`;
    case 'buffers':
      return counted(scenario.buffers, 'buffer', 'buffers');
    case 'heads':
      return counted(scenario.heads, 'head', 'heads');
    case 'host':
      return `host in ${plain(scenario.host)}`;
  }
}

/** A machine setting that is not as usual, by its name: `no fences`, `scanout 500 µs`, `list limit 16,384`; '' as usual. */
function specialWords(name: string, value: SettingValue | undefined): string {
  if (value === undefined) return '';
  const words = plain(name)
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1 $2')
    .toLowerCase();
  if (typeof value === 'boolean') return value ? words : `no ${words}`;
  const figure = typeof value === 'number' ? grouped(value, Number.isInteger(value) ? 0 : 2) : plain(value);
  if (/ every$/.test(words)) return `${words} ${figure} frames`;
  const [, quantity = words, unit = ''] = /^(.*) (us|mb)$/.exec(words) ?? [];
  return `${quantity} ${figure}${unit === 'us' ? ' µs' : unit === 'mb' ? ' MB' : ''}`;
}

/** Names of the special settings that any of these scenarios has, in the order of their first mention. */
function specialNames(scenarios: readonly Scenario[]): string[] {
  return [...new Set(scenarios.flatMap((scenario) => Object.keys(scenario.settings ?? {})))];
}

function isShared(name: string, scenarios: readonly Scenario[]): boolean {
  return new Set(scenarios.map((scenario) => scenario.settings?.[name])).size === 1;
}

/** For each scenario, what sets it apart from the others: `4k pages, no fences`; '' where nothing is special about it. */
export function distinctions(scenarios: readonly Scenario[]): string[] {
  const varying = SETTINGS.filter((setting) => new Set(scenarios.map((scenario) => scenario[setting])).size > 1);
  const special = specialNames(scenarios).filter((name) => !isShared(name, scenarios));
  return scenarios.map((scenario) =>
    [...varying.map((setting) => settingWords(setting, scenario)), ...special.map((name) => specialWords(name, scenario.settings?.[name]))]
      .filter((words) => words !== '')
      .join(', '),
  );
}

/**
 * The settings that all scenarios of a group share, in words; the others, `varies`. Left out: what the group's label
 * says already, and what is special about some scenarios only (specialNotes).
 */
export function sharedSettings({ label, scenarios }: Group): string {
  const words = SETTINGS.map((setting) => {
    const values = new Set(scenarios.map((scenario) => scenario[setting]));
    return values.size > 1 ? `${setting} varies` : settingWords(setting, scenarios[0]);
  });
  for (const name of specialNames(scenarios)) if (isShared(name, scenarios)) words.push(specialWords(name, scenarios[0].settings?.[name]));
  const said = label.split(', ');
  return words.filter((each) => !said.includes(each)).join(', ');
}

/** Settings that the name of a row says already. */
const IN_NAMES: ReadonlySet<string> = new Set(['qemu', 'transferOnly']);

/** Special settings that only some scenarios of a group have: `udmabuf: list limit 16,384`. */
export function specialNotes(group: Group): string[] {
  const names = specialNames(group.scenarios).filter((name) => !IN_NAMES.has(name) && !isShared(name, group.scenarios));
  const notes: string[] = [];
  for (const scenario of group.scenarios) {
    const words = names.map((name) => specialWords(name, scenario.settings?.[name])).filter((each) => each !== '');
    if (words.length > 0) notes.push(`${rowName(scenario)}: ${words.join(', ')}`);
  }
  return notes;
}

/** The settings of the whole run when every group has the same; null when a rendering has to say them group by group. */
export function commonSettings(groups: readonly Group[]): string | null {
  const [first, ...others] = groups.map(sharedSettings);
  return first !== undefined && others.every((other) => other === first) ? first : null;
}
