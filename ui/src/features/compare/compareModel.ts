/** What the comparison draws and lists, worked out from the server's answer. Pure: no colours, no React. */
import type { CompareAnswer, ComparedValue, LayoutGroup } from "@/api/client";
import type { Measure } from "@/lib/compareSearch";
import { displayName, formatSmall, formatStrength, formatWeight } from "@/lib/format";

/** One LoRA; its place gives it letter, colour and line. */
export interface Series {
  id: string;
  name: string;
  place: number;
  letter: string;
}

export interface Cell {
  series: Series;
  state: ComparedValue["state"];
  /** What was measured; null where nothing is there to draw. */
  value: number | null;
  /** The value less that of the reference, counting as 0 what a file leaves out; null without a reference. */
  difference: number | null;
}

export interface Row {
  index: number;
  label: string;
  group: LayoutGroup;
  groupIndex: number;
  cells: readonly Cell[];
}

export interface CompareModel {
  measure: Measure;
  groups: readonly LayoutGroup[];
  series: readonly Series[];
  /** The one the others are held against, null where they are overlaid. */
  reference: Series | null;
  rows: readonly Row[];
  /** The largest value, of which the strips show shares. */
  largest: number;
  /** What the plot spans: from 0 for an overlay, as far down as up for a difference. */
  low: number;
  high: number;
}

const LETTERS = "ABCDEF";

/** Every entry that was asked for keeps its letter, whether it is compared or not. */
export function seriesOf(answer: CompareAnswer): Series[] {
  return answer.entries.map(({ stable_id, filename }, place) => ({
    id: stable_id,
    name: filename === null ? stable_id : displayName(filename),
    place,
    letter: LETTERS[place] ?? "?",
  }));
}

export function compareModel(
  answer: CompareAnswer,
  measure: Measure,
  against: string | undefined,
): CompareModel {
  const series = seriesOf(answer).filter(({ place }) => answer.entries[place]?.compared);
  const at = series.findIndex(({ id }) => id === against);
  const reference = series.length > 1 ? (series[at] ?? null) : null;
  const groups = new Map(answer.groups.map((group) => [group.key, group]));
  const rows = answer.places.flatMap((place, index): Row[] => {
    const group = groups.get(place.group);
    if (group === undefined) return [];
    const base = place.values[at];
    const cells = series.map((one, column): Cell => {
      const value = place.values[column];
      return {
        series: one,
        state: value?.state ?? "outside",
        value: value?.state === "measured" ? measuredBy(value, measure) : null,
        difference: reference === null || !value || !base ? null : differ(value, base, measure),
      };
    });
    return [{ index, label: place.label, group, groupIndex: place.group_index, cells }];
  });
  const numbers = rows.flatMap(({ cells }) => cells);
  const largest = Math.max(0, ...numbers.map(({ value }) => value ?? 0));
  const widest = Math.max(0, ...numbers.map(({ difference }) => Math.abs(difference ?? 0)));
  const high = reference === null ? largest : widest;
  return {
    measure,
    groups: answer.groups,
    series,
    reference,
    rows,
    largest,
    low: reference === null ? 0 : -high,
    high,
  };
}

function measuredBy(value: ComparedValue, measure: Measure): number | null {
  return { weight: value.weight, raw: value.raw_strength, rms: value.rms_change }[measure];
}

/** A block that a file leaves out is not changed by it. What should be known and is not makes no difference. */
function differ(value: ComparedValue, base: ComparedValue, measure: Measure): number | null {
  const [one, other] = [value, base].map((side) =>
    side.state === "measured" ? measuredBy(side, measure) : 0,
  );
  return one === null || one === undefined || other === null || other === undefined ? null : one - other;
}

const STATE_WORDS: Record<ComparedValue["state"], string> = {
  measured: "not known",
  absent: "not in this file",
  outside: "not in its layout",
};

export function formatValue(value: number, measure: Measure): string {
  return { weight: formatWeight, raw: formatStrength, rms: formatSmall }[measure](value);
}

export function formatDifference(value: number, measure: Measure): string {
  if (value === 0) return "0";
  return `${value < 0 ? "−" : "+"}${formatValue(Math.abs(value), measure)}`;
}

/** What a cell says: its value, or why it has none. */
export function cellText(cell: Cell, measure: Measure): string {
  return cell.value === null ? STATE_WORDS[cell.state] : formatValue(cell.value, measure);
}

/** One block in words, for screen readers. */
export function describeRow(row: Row, model: CompareModel): string {
  const place = `${row.label}, ${row.group.title.toLowerCase()} ${row.groupIndex + 1} of ${row.group.count}`;
  const values = row.cells.map((cell) => {
    const apart =
      cell.difference === null || cell.series === model.reference
        ? ""
        : ` (${formatDifference(cell.difference, model.measure)} against ${model.reference?.letter})`;
    return `${cell.series.letter} ${cellText(cell, model.measure)}${apart}`;
  });
  return `${place}: ${values.join(", ")}`;
}

/** Runs of places next to each other where a LoRA has a value, none across the edge of a group. */
export function runsOf(model: CompareModel, series: Series): { index: number; value: number }[][] {
  const runs: { index: number; value: number }[][] = [];
  let before: string | null = null;
  for (const row of model.rows) {
    const value = row.cells.find((cell) => cell.series === series)?.value ?? null;
    if (value !== null) {
      const last = runs.at(-1);
      if (last !== undefined && before === row.group.key) last.push({ index: row.index, value });
      else runs.push([{ index: row.index, value }]);
    }
    before = value === null ? null : row.group.key;
  }
  return runs;
}
