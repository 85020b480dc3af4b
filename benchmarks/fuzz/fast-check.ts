import type * as FastCheck from 'fast-check';

/** Fuzzing needs what only a clone has installed. */
export class NoFastCheck extends Error {
  override name = 'NoFastCheck';
}

/** fast-check: installed with a clone only, so it may be absent. @throws NoFastCheck */
export async function loadFastCheck(): Promise<typeof FastCheck> {
  const name: string = 'fast-check';
  try {
    return (await import(name)) as typeof FastCheck;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND') {
      throw new NoFastCheck('fast-check is not installed: fuzz in a clone of the repository, after npm install');
    }
    throw error;
  }
}
