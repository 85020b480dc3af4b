/** A chart's axis: where a value lies, in [0, 1], and the values that get a label. */
export interface Scale {
  at(value: number): number;
  readonly ticks: readonly number[];
}

/** From 0 to a round value at or past `max`, with four to seven ticks of 1, 2 or 5 times a power of ten. */
export function linearScale(max: number): Scale {
  const top = max > 0 && Number.isFinite(max) ? max : 1;
  const rough = top / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999) ?? 10) * power;
  const count = Math.max(1, Math.ceil(top / step - 1e-9));
  const end = step * count;
  return { at: (value) => clamp(value / end), ticks: Array.from({ length: count + 1 }, (_, i) => Number((i * step).toPrecision(12))) };
}

/** Whole decades around [min, max]; what lies outside is drawn at the edge. */
export function logScale(min: number, max: number): Scale {
  const low = Math.floor(Math.log10(Math.max(min, 0.1)));
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(max, 0.1))));
  return {
    at: (value) => clamp((Math.log10(Math.max(value, 1e-9)) - low) / (high - low)),
    ticks: Array.from({ length: high - low + 1 }, (_, i) => Number((10 ** (low + i)).toPrecision(12))),
  };
}

/** Logarithmic from one 1, 2 or 5 times a power of ten to another, around [min, max]; these are the ticks, or of many only the decades. */
export function fineLogScale(min: number, max: number): Scale {
  const steps: number[] = [];
  for (let power = Math.floor(Math.log10(Math.max(min, 0.1))); steps.length < 2 || steps[steps.length - 1] < max; power++) {
    for (const factor of [1, 2, 5]) steps.push(Number((factor * 10 ** power).toPrecision(12)));
  }
  const first = Math.max(
    0,
    steps.findLastIndex((step) => step <= min),
  );
  const last = Math.max(
    first + 1,
    steps.findIndex((step) => step >= max),
  );
  const all = steps.slice(first, last + 1);
  const [low, high] = [Math.log10(all[0]), Math.log10(all[all.length - 1])];
  return {
    at: (value) => clamp((Math.log10(Math.max(value, 1e-9)) - low) / (high - low)),
    ticks: all.length <= 9 ? all : all.filter((step) => Number.isInteger(Number(Math.log10(step).toFixed(9)))),
  };
}

/** Logarithmic over the values themselves, which are the ticks, with room at both ends. */
export function logScaleOf(values: readonly number[]): Scale {
  const ticks = [...new Set(values)].sort((a, b) => a - b);
  const [low, high] = [Math.log10(Math.max(ticks[0] ?? 1, 1e-9)), Math.log10(Math.max(ticks[ticks.length - 1] ?? 1, 1e-9))];
  const span = high > low ? high - low : 1;
  return { at: (value) => clamp(0.06 + (0.88 * (Math.log10(Math.max(value, 1e-9)) - low)) / span), ticks };
}

function clamp(value: number): number {
  return Math.min(1, Math.max(0, value));
}
