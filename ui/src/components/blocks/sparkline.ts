/** Geometry of the small block profiles: one SVG path for all bars of a group. Pure. */

export interface BarRun {
  /** First bar of the run and how many. */
  start: number;
  count: number;
}

const GROUP_GAP = 3;
const FLOOR = 0.6; // the least height of a bar, so that a measured zero is still a line

/** Left edge and width of every bar when `runs` share `width` pixels with a gap between them. */
export function barPositions(
  runs: readonly BarRun[],
  width: number,
  gap = GROUP_GAP,
): { x: number[]; step: number } {
  const bars = runs.reduce((sum, run) => sum + run.count, 0);
  const step = bars === 0 ? 0 : (width - gap * (runs.length - 1)) / bars;
  const x: number[] = [];
  runs.forEach((run, place) => {
    for (let index = 0; index < run.count; index++)
      x[run.start + index] = (run.start + index) * step + place * gap;
  });
  return { x, step };
}

/** Path of one run's bars, standing on the lower edge of a `width` x `height` box. */
export function runPath(
  weights: readonly number[],
  run: BarRun,
  positions: { x: number[]; step: number },
  height: number,
): string {
  const wide = Math.max(positions.step - (positions.step > 3 ? 1 : 0.35), 0.5);
  let path = "";
  for (let index = run.start; index < run.start + run.count; index++) {
    const weight = weights[index];
    if (weight === undefined) continue;
    const tall = Math.max(Math.min(weight, 1) * height, FLOOR);
    path += `M${round(positions.x[index] ?? 0)} ${round(height)}v${round(-tall)}h${round(wide)}v${round(tall)}z`;
  }
  return path;
}

/** The step (0..8) of the strength scale a weight falls on. */
export function strengthStep(weight: number): number {
  return Math.round(Math.min(Math.max(weight, 0), 1) * 8);
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
