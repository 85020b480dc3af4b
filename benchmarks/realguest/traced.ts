import type { MachineOptions } from '../../core/machine/options.ts';
import { TraceError } from '../../core/trace/trace.ts';
import { plain } from '../../reports/format.ts';
import { UsageError } from '../commands/command.ts';
import { readTrace, TraceFileError } from '../replay.ts';
import { type Scenario, unique } from '../scenarios.ts';
import { nameOf, onHost, recordedScenario } from './recorded.ts';

/**
 * Scenarios of traces of the user's own (`scanout run --trace`).
 * @param list file names, separated by commas @param rate of the display, Hz; undefined: as usual @param settings of the host
 * @throws UsageError for a file that cannot be read, is no trace, or one that cannot be repeated; ScenarioError for a setting that is the guest's
 */
export async function tracedScenarios(
  list: string,
  rate: number | null | undefined,
  settings: Partial<MachineOptions>,
): Promise<Scenario[]> {
  if (rate === null) throw new UsageError('--rate max: a recorded guest has a pace of its own; give the display a rate in Hz');
  const scenarios: Scenario[] = [];
  for (const file of unique(list.split(','), String) ?? []) {
    if (file === '') throw new UsageError('--trace needs file names, separated by commas');
    const one = onHost(await scenarioOf(file, rate), settings);
    const namesakes = scenarios.filter(({ id }) => id === one.id || id.startsWith(`${one.id}-file`)).length;
    scenarios.push(namesakes === 0 ? one : { ...one, id: `${one.id}-file${namesakes + 1}` });
  }
  return scenarios;
}

async function scenarioOf(file: string, rateHz: number | undefined): Promise<Scenario> {
  const name = nameOf(file);
  try {
    return recordedScenario(`trace-${name}`, name, await readTrace(file), rateHz === undefined ? {} : { rateHz });
  } catch (error) {
    if (error instanceof TraceFileError) throw new UsageError(plain(error.message));
    if (error instanceof TraceError) throw new UsageError(plain(`${file}: ${error.message}`));
    throw error;
  }
}
