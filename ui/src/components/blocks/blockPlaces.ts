/** Where the bars of a layout stand in a wide chart, the same in every chart of one entry. Pure. */
import { type BarRun, barPositions } from "./sparkline";

/** Room left of the bars for an axis, and right of them for another. */
export const LEFT = 34;
const RIGHT = 58;
export const GROUP_GAP = 22;
const WIDEST_STEP = 48;

/** Few blocks do not spread over the whole width: the right axis moves in instead. */
export function blockPlaces(groups: readonly BarRun[], count: number, width: number) {
  const widest = count * WIDEST_STEP + (groups.length - 1) * GROUP_GAP;
  const plot = Math.min(width - LEFT - RIGHT, widest);
  const { x, step } = barPositions(groups, plot, GROUP_GAP);
  const gap = step > 8 ? 3 : step > 4 ? 1.5 : 0.5;
  return { x: x.map((left) => left + LEFT), step, bar: Math.max(step - gap, 1), gap, right: LEFT + plot };
}
