const UNITS: readonly (readonly [RegExp, string])[] = [
  [/Us(\.(?!count$)|$|PerFrame)/, 'µs'],
  [/GBps$/, 'GB/s'],
  [/Percent$/, '%'],
  [/(^|\.)fps$|Fps(\.|$)/, 'a second'],
  [/bytes.*PerFrame/i, 'bytes a frame'],
  [/bytes/i, 'bytes'],
  [/Share\./, 'of the time'],
];

/** What a metric is counted in, by its name in the run document; '': a number of things. */
export function unitOf(metric: string): string {
  return UNITS.find(([pattern]) => pattern.test(metric))?.[1] ?? '';
}
