import type { Calibration } from './calibration.ts';
import { changeWords, wrapped } from './compare/text.ts';
import { counted, plain, trimmed } from './format.ts';

/** More false verdicts than this part of the comparisons, or fewer handicaps found than that, and verdicts are not to be believed. */
const MOST_FALSE = 0.05;
const LEAST_FOUND = 0.95;

/** Why verdicts on this machine are not to be believed; null: they are, or too little is known. One false verdict may be chance. */
export function calibrationFault({ metrics, primaryMetric, positiveControl }: Calibration): string | null {
  const primary = metrics.find(({ metric }) => metric === primaryMetric);
  if (primary !== undefined && primary.falseVerdicts > Math.max(1, MOST_FALSE * primary.comparisons))
    return `${primary.falseVerdicts} false verdicts in ${counted(primary.comparisons, 'comparison', 'comparisons')} of a side with itself`;
  if (positiveControl !== null && positiveControl.found < LEAST_FOUND * positiveControl.trials)
    return `a handicap of ${positiveControl.handicapPercent}% was found in ${positiveControl.found} of ${counted(positiveControl.trials, 'trial', 'trials')} only`;
  return null;
}

/** Ended by a newline. */
export function calibrationText(calibration: Calibration): string {
  const { scenario, metrics, maxPairs, secondsPerSide, positiveControl, partial } = calibration;
  const lines = [
    `${plain(scenario)}: at most ${counted(maxPairs, 'pair', 'pairs')} a comparison, ${trimmed(secondsPerSide, 1)} s a side`,
    '',
    'metric                            false verdicts   smallest found  spread',
  ];
  for (const { metric, falseVerdicts, comparisons, smallestDetectable, spread } of metrics) {
    const least = smallestDetectable === null ? 'none' : `${trimmed(smallestDetectable * 100, 1)}%`;
    const wrong = `${falseVerdicts} of ${comparisons}`;
    lines.push(`${metric.padEnd(32)}  ${wrong.padStart(14)} ${least.padStart(16)} ${`${trimmed(spread * 100, 1)}%`.padStart(7)}`);
  }
  lines.push('');
  if (positiveControl === null) lines.push('Positive control: not measured.');
  else {
    const { handicapPercent, found, trials, ratio } = positiveControl;
    const words = `Positive control: copying ${handicapPercent}% of each frame again was found in ${found} of ${counted(trials, 'trial', 'trials')} (median ${changeWords(ratio)}).`;
    lines.push(...wrapped('', words));
  }
  lines.push(...wrapped('', 'Smallest found: a change that is found 19 times of 20. Spread: of the ratios of pairs that do not differ.'));
  if (partial) lines.push('! Stopped before its end: the figures come from what was complete.');
  const fault = calibrationFault(calibration);
  if (fault !== null) lines.push(...wrapped('! ', `Verdicts on this machine are not to be believed: ${fault}.`));
  return `${lines.join('\n')}\n`;
}
