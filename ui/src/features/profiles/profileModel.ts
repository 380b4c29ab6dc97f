/** What can be done to the multipliers of a profile, and how they are read and drawn. Pure: no React, no server. */
import type { Block, LayoutGroup } from "@/api/client";

/** The multiplier that leaves a block as it is. */
export const NEUTRAL = 1;
export const STEP = 0.05;
export const BIG_STEP = 0.25;

/** The smallest and largest multiplier that the server takes. */
export interface Limits {
  lowest: number;
  highest: number;
}

/** Within the limits, three decimals, never the negative zero. */
export function limited(value: number, { lowest, highest }: Limits): number {
  return Math.round(Math.min(Math.max(value, lowest), highest) * 1000) / 1000 + 0;
}

export function neutral(count: number): number[] {
  return new Array<number>(count).fill(NEUTRAL);
}

export function sameWeights(one: readonly number[], other: readonly number[]): boolean {
  return one.length === other.length && one.every((weight, index) => weight === other[index]);
}

export function withOne(weights: readonly number[], index: number, value: number): number[] {
  return weights.map((weight, place) => (place === index ? value : weight));
}

/** The blocks from one to another, both included, at one value: a fast stroke leaves none out. */
export function withRange(weights: readonly number[], from: number, to: number, value: number): number[] {
  const [first, last] = from < to ? [from, to] : [to, from];
  return weights.map((weight, place) => (place >= first && place <= last ? value : weight));
}

/** `change` applied to the blocks of one group; to all blocks where `group` is null. */
export function withGroup(
  weights: readonly number[],
  group: Pick<LayoutGroup, "start" | "count"> | null,
  change: (weight: number) => number,
  limits: Limits,
): number[] {
  return weights.map((weight, index) =>
    group === null || (index >= group.start && index < group.start + group.count)
      ? limited(change(weight), limits)
      : weight,
  );
}

export interface Preset {
  id: string;
  title: string;
  hint: string;
  make: (weights: readonly number[]) => number[];
}

/** The ready-made profiles of a layout; one "only" a group, as the layout names its groups. */
export function presets(groups: readonly LayoutGroup[], limits: Limits): Preset[] {
  const only = (group: LayoutGroup): Preset => ({
    id: `only-${group.key}`,
    title: `Only ${group.title.toLowerCase()}`,
    hint: `${group.title} at 1, all others at 0`,
    make: (weights) =>
      weights.map((_, index) => (index >= group.start && index < group.start + group.count ? 1 : 0)),
  });
  return [
    { id: "all", title: "All", hint: "Every block at 1: nothing is changed", make: (w) => neutral(w.length) },
    {
      id: "none",
      title: "None",
      hint: "Every block at 0: the LoRA does nothing",
      make: (w) => w.map(() => 0),
    },
    ...(groups.length > 1 ? groups.map(only) : []),
    {
      id: "first-half",
      title: "First half",
      hint: "The first half of the blocks at 1, the others at 0",
      make: (w) => w.map((_, index) => (index < Math.ceil(w.length / 2) ? 1 : 0)),
    },
    {
      id: "ramp",
      title: "Ramp",
      hint: "Evenly from 0 at the first block to 1 at the last",
      make: (w) => w.map((_, index) => limited(w.length > 1 ? index / (w.length - 1) : 1, limits)),
    },
    {
      id: "invert",
      title: "Invert (1 − w)",
      hint: "Every multiplier w becomes 1 − w: what was on goes off",
      make: (w) => w.map((weight) => limited(1 - weight, limits)),
    },
  ];
}

/** What was measured of each block, 0 to 1 of the strongest; null where nothing was. By block index. */
export function measuredShape(
  count: number,
  blocks: readonly Block[],
  fallback: boolean,
): readonly (number | null)[] {
  const shape = new Array<number | null>(count).fill(null);
  if (fallback) return shape;
  for (const { block_index, weight, present, raw_strength } of blocks)
    if (present && raw_strength !== null && block_index < count) shape[block_index] = weight;
  return shape;
}

/** Multipliers that repeat the measured shape; blocks that were not measured stay neutral. */
export function followShape(shape: readonly (number | null)[], limits: Limits): number[] {
  return shape.map((weight) => (weight === null ? NEUTRAL : limited(weight, limits)));
}

/** What was typed: a value, or why it is none. */
export type Typed<T> = { value: T } | { problem: string };

/** One multiplier; a decimal comma is understood. */
export function readNumber(text: string, { lowest, highest }: Limits): Typed<number> {
  const value = numberOf(text.trim().replace(",", "."));
  if (value === null) return { problem: "Type a number." };
  if (value < lowest || value > highest) return { problem: `From ${lowest} to ${highest}.` };
  return { value: value + 0 };
}

/** A list of one number a block, apart by commas, semicolons or white space. */
export function readList(text: string, count: number, { lowest, highest }: Limits): Typed<number[]> {
  const parts = text.split(/[\s,;]+/).filter((part) => part !== "");
  const values: number[] = [];
  for (const [place, part] of parts.entries()) {
    const value = numberOf(part);
    if (value === null) return { problem: `Entry ${place + 1}, “${part.slice(0, 24)}”, is not a number.` };
    if (value < lowest || value > highest)
      return { problem: `Entry ${place + 1}, ${part}, is not from ${lowest} to ${highest}.` };
    values.push(value + 0);
  }
  if (values.length !== count)
    return { problem: `There are ${values.length} numbers; this layout takes ${count}, one a block.` };
  return { value: values };
}

function numberOf(text: string): number | null {
  return /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(text) ? Number(text) : null;
}

export function listText(weights: readonly number[]): string {
  return weights.map(formatMultiplier).join(", ");
}

/** At most three decimals and at least one: 1 -> "1.0", 0.25 -> "0.25". */
export function formatMultiplier(weight: number): string {
  const text = String(Math.round(weight * 1000) / 1000 + 0);
  return text.includes(".") || text.includes("e") ? text : `${text}.0`;
}

/** What the chart's upright axis spans. */
export interface Span {
  low: number;
  high: number;
}

/** From 0 to 2, so that neutral is in the middle; wider by whole numbers where multipliers lie outside. */
export function spanOf(weights: readonly number[]): Span {
  return {
    low: Math.min(0, Math.floor(Math.min(...weights))),
    high: Math.max(2, Math.ceil(Math.max(...weights))),
  };
}

/** Whole and half numbers while there is room for them. */
export function ticksOf({ low, high }: Span): number[] {
  const step = [0.5, 1, 2, 5].find((each) => (high - low) / each <= 7) ?? 5;
  const ticks: number[] = [];
  for (let tick = Math.ceil(low / step); tick * step <= high; tick++) ticks.push(tick * step + 0);
  return ticks;
}

/** The multiplier at a height of the plot, `from` its upper edge; in steps of 0.01, drawn to 0 and 1 when close. */
export function valueAt(from: number, plot: number, { low, high }: Span, limits: Limits): number {
  const exact = high - (Math.min(Math.max(from, 0), plot) / plot) * (high - low);
  const near = ((high - low) / plot) * 3;
  const caught = [0, NEUTRAL].find((mark) => Math.abs(exact - mark) <= near);
  return limited(caught ?? Math.round(exact * 100) / 100, limits);
}

/** The multiplier that a key gives, null where the key means something else. */
export function afterKey(key: string, shift: boolean, weight: number, limits: Limits): number | null {
  if (key === "0") return limited(0, limits);
  if (key === "1") return limited(1, limits);
  const step = shift ? BIG_STEP : STEP;
  if (key === "ArrowUp") return limited(weight + step, limits);
  if (key === "ArrowDown") return limited(weight - step, limits);
  if (key === "PageUp") return limited(weight + BIG_STEP, limits);
  if (key === "PageDown") return limited(weight - BIG_STEP, limits);
  return null;
}

/** A name that no profile has yet: "soft", "soft copy", "soft copy 2". */
export function freeName(wanted: string, taken: readonly string[]): string {
  if (!taken.includes(wanted)) return wanted;
  for (let count = 2; ; count++) if (!taken.includes(`${wanted} ${count}`)) return `${wanted} ${count}`;
}
