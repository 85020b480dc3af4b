import type { Path, RatioInterval } from './run-document.ts';

/** One question and what answers it: figures along an axis, a series a line. */
export interface Study {
  question: string;
  /** What changes from point to point. */
  axis: string;
  /** What is read off, in words. */
  measure: string;
  /** Its unit; '': none. */
  unit: string;
  series: StudySeries[];
  /** The answer in sentences, none where too little was measured. */
  answers: string[];
  /** Ratios that the answer rests on, size by size. Absent: there are none. */
  gains?: PathGain[];
}

export interface StudySeries {
  name: string;
  /** In the order of the axis. Series may lack points that others have. */
  points: StudyPoint[];
}

export interface StudyPoint {
  /** Place on the axis, for a drawing; a category's number where the axis has no measure. */
  at: number;
  /** The same in words. */
  label: string;
  /** Null: not measured, or it does not exist. */
  value: number | null;
  /** Ids of the scenarios that it was drawn from. */
  scenarios: string[];
  /** The machine got in the way of one of them. */
  disturbed: boolean;
}

/** What a path that copies nothing makes of one that copies: frames a second of the first over those of the second. */
export interface PathGain {
  /** Of a frame, as `1080p`. */
  size: string;
  path: Path;
  over: Path;
  ratio: RatioInterval;
  /** The ratio that CPU times of a frame make expect; null: too few were measured. */
  predicted: number | null;
  /** What copying a frame takes on the second path, over what converting and encoding it take; null: not measured. */
  copiesShare: number | null;
}
