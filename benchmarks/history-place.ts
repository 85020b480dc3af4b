import { InputError } from '../reports/errors.ts';
import { History, type HistoryPlace } from '../reports/history/history.ts';
import { checkWritable } from '../reports/index.ts';

/** The history's folder unless `--history` or SCANOUT_HISTORY names one. */
export const HISTORY_FOLDER = 'scanout-history';

/** Where the history lies. @param folder of `--history`; undefined: the flag is absent */
export function historyPlace(folder: string | undefined, environment: NodeJS.ProcessEnv = process.env): HistoryPlace {
  const set = (name: string): string | undefined => environment[name] || undefined;
  return { folder: folder ?? set('SCANOUT_HISTORY') ?? HISTORY_FOLDER, databaseUrl: set('DATABASE_URL') ?? null };
}

/**
 * Where a run is to be kept: asked for by a flag, or by SCANOUT_HISTORY for every run. Opens the history before anything
 * is measured, so that one which cannot be used is refused at once.
 * @returns null: the run is not to be kept
 * @throws InputError the history cannot be used
 */
export async function placeToKeep(keep: boolean, folder: string | undefined): Promise<HistoryPlace | null> {
  if (!keep && folder === undefined && !process.env['SCANOUT_HISTORY']) return null;
  if (folder === '') throw new InputError('--history needs the name of a folder');
  const place = historyPlace(folder);
  checkWritable(place.folder);
  await (await History.open(place)).close();
  return place;
}
