/** What a fuzzer found: a promise that the host did not keep. Any other error out of the host is one too. */
export class FuzzFailure extends Error {
  override name = 'FuzzFailure';
}

/** @throws FuzzFailure unless `holds` */
export function hold(holds: boolean, what: string): asserts holds {
  if (!holds) throw new FuzzFailure(what);
}

/** @throws FuzzFailure unless the two are the same number or text */
export function same(found: number | string, expected: number | string, what: string): void {
  if (found !== expected) throw new FuzzFailure(`${what}: ${found}, not ${expected}`);
}
