/** Detailed display timings: VESA CVT 1.2 reduced blanking (version 1), what an EDID describes a mode with. */

/** One mode with its blanking; lengths in pixels (h…) and lines (v…). */
export interface Timing {
  width: number;
  height: number;
  hBlank: number;
  hFront: number;
  hSync: number;
  vBlank: number;
  vFront: number;
  vSync: number;
  /** Pixel clock in units of 10 kHz, the finest that EDID and DisplayID type I can say. */
  clock10kHz: number;
}

/** Least vertical blanking of CVT reduced blanking, seconds. */
const MIN_V_BLANK_S = 460e-6;
const V_FRONT = 3;
const MIN_V_BACK = 6;

/** CVT codes the aspect ratio in the width of the vertical sync, lines. */
function verticalSync(width: number, height: number): number {
  if (width * 3 === height * 4) return 4;
  if (width * 9 === height * 16) return 5;
  if (width * 10 === height * 16) return 6;
  if (width * 4 === height * 5 || width * 9 === height * 15) return 7;
  return 10;
}

/**
 * The CVT reduced-blanking timing of a mode, any width (CVT's rounding of the width to 8 px is left out, so that the
 * mode that comes back is the one asked for) and any refresh rate below 2000 Hz.
 */
export function reducedBlanking(width: number, height: number, refreshHz: number): Timing {
  const vSync = verticalSync(width, height);
  const lineS = (1 / refreshHz - MIN_V_BLANK_S) / height;
  const vBlank = Math.max(Math.floor(MIN_V_BLANK_S / lineS) + 1, V_FRONT + vSync + MIN_V_BACK);
  const hBlank = 160;
  const clock10kHz = Math.max(1, Math.round((refreshHz * (width + hBlank) * (height + vBlank)) / 10_000));
  return { width, height, hBlank, hFront: 48, hSync: 32, vBlank, vFront: V_FRONT, vSync, clock10kHz };
}

/**
 * Refresh rate of a timing, Hz. The pixel clock is rounded to 10 kHz, so a rate that lies within that rounding of a
 * whole number is the whole number. Below about 100 × 100 px 10 kHz are more than half a hertz, so it can be one off.
 */
export function refreshOf(timing: Timing): number {
  const pixels = (timing.width + timing.hBlank) * (timing.height + timing.vBlank);
  const hz = (timing.clock10kHz * 10_000) / pixels;
  const whole = Math.round(hz);
  return whole > 0 && Math.abs(whole * pixels - timing.clock10kHz * 10_000) <= 5_000 ? whole : hz;
}
