/** Numbers and names in words, the same in every rendering. English, no locale. */

const NAMED_SIZES: Readonly<Record<string, string>> = {
  '1280x720': '720p',
  '1920x1080': '1080p',
  '2560x1440': '1440p',
  '3840x2160': '4K',
  '7680x4320': '8K',
};

/** `4K`, or `800x600` where the size has no usual name. */
export function sizeName(width: number, height: number): string {
  return NAMED_SIZES[`${width}x${height}`] ?? `${width}x${height}`;
}

/** `60 Hz`, or `max rate`. */
export function rateName(rateHz: number | null): string {
  return rateHz === null ? 'max rate' : `${trimmed(rateHz, 2)} Hz`;
}

/** `12,345`; digits after the point as told. */
export function grouped(value: number, digits = 0): string {
  const [whole = '', fraction] = value.toFixed(digits).split('.');
  const withCommas = whole.replace(/\B(?=(\d{3})+$)/g, ',');
  return fraction === undefined ? withCommas : `${withCommas}.${fraction}`;
}

/** As many digits as a reader can use: `0.84`, `6.2`, `431`, `12,345`, `4.1e6` (never over 7 characters). */
export function compact(value: number): string {
  const size = Math.abs(value);
  if (size >= 999_999.5) return value.toExponential(1).replace('e+', 'e');
  if (value === 0) return '0';
  if (size < 0.995) return value.toFixed(2);
  return size < 99.95 ? value.toFixed(1) : grouped(value);
}

/** At most `digits` after the point, without trailing zeros. */
export function trimmed(value: number, digits: number): string {
  return String(Number(value.toFixed(digits)));
}

/** `6 µs`, `4.1 ms`, `1.2 s`. */
export function duration(us: number): string {
  if (us >= 999_500) return `${(us / 1e6).toFixed(1)} s`;
  if (us >= 999.5) return `${(us / 1000).toFixed(1)} ms`;
  return us > 0 && us < 0.95 ? `${us.toFixed(1)} µs` : `${us.toFixed(0)} µs`;
}

/** `33.2 MB`, decimal units. */
export function byteSize(bytes: number): string {
  if (bytes >= 1e9) return `${(bytes / 1e9).toFixed(2)} GB`;
  if (bytes >= 1e6) return `${(bytes / 1e6).toFixed(1)} MB`;
  return bytes >= 1e3 ? `${(bytes / 1e3).toFixed(1)} kB` : `${trimmed(bytes, 1)} B`;
}

/** `1 copy`, `0 copies`. */
export function counted(count: number, one: string, many: string): string {
  return `${Number.isInteger(count) ? grouped(count) : trimmed(count, 2)} ${count === 1 ? one : many}`;
}

/** `0.99 [0.96, 1.01]`. */
export function ratioWords(ratio: { median: number; low: number; high: number }): string {
  return `${ratio.median.toFixed(2)} [${ratio.low.toFixed(2)}, ${ratio.high.toFixed(2)}]`;
}

/** A number keeps its unit beside it where lines are broken: `2.7 ms` with a no-break space. */
export function unbroken(text: string): string {
  return text.replaceAll(/(\d) (?=(?:µs|ms|s|[kMG]?B|GB\/s|Hz)(?![A-Za-z]))/g, '$1\u00a0');
}

/** On one line, without control characters and halves of characters: what came from files and programs must not steer a terminal. */
export function plain(text: string): string {
  return text
    .replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]+/g, ' ')
    .trim()
    .toWellFormed();
}
