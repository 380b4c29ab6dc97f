/** What the block chart draws, worked out from the API's layout and blocks. Pure: no colours, no React. */
import type { Block, Layout, LayoutGroup } from "@/api/client";
import { formatSmall, formatStrength, formatWeight } from "@/lib/format";

/** Measured; nothing in the file for this block; or a neutral stand-in for what could not be measured. */
export type BarKind = "measured" | "absent" | "unmeasured";

/** A number of a block, with the name it is shown under. */
export interface BlockNumber {
  name: string;
  text: string;
}

export interface Bar {
  index: number;
  label: string;
  kind: BarKind;
  weight: number;
  rawStrength: number | null;
  /** Rank, size and spectrum of its modules; empty where they were not measured. */
  numbers: readonly BlockNumber[];
  group: LayoutGroup;
  /** Place within its group, from 0. */
  groupIndex: number;
}

export interface ChartModel {
  bars: readonly Bar[];
  groups: readonly LayoutGroup[];
  measured: number;
  absent: number;
  /** The strongest measured bar; null where nothing was measured or all is zero. */
  peak: Bar | null;
}

/** Every block of the layout gets a bar, whatever the answer leaves out. */
export function chartModel(layout: Layout, blocks: readonly Block[], fallback: boolean): ChartModel {
  const byIndex = new Map(blocks.map((block) => [block.block_index, block]));
  const groups = new Map(layout.groups.map((group) => [group.key, group]));
  const bars = layout.blocks.flatMap((place): Bar[] => {
    const group = groups.get(place.group);
    if (group === undefined) return [];
    const block = byIndex.get(place.block_index);
    const kind: BarKind = fallback
      ? "unmeasured"
      : block === undefined || !block.present
        ? "absent"
        : block.raw_strength === null
          ? "unmeasured"
          : "measured";
    return [
      {
        index: place.block_index,
        label: place.label,
        kind,
        weight: block?.weight ?? 0,
        rawStrength: block?.raw_strength ?? null,
        numbers: block === undefined || kind !== "measured" ? [] : numbersOf(block),
        group,
        groupIndex: place.group_index,
      },
    ];
  });
  const measured = bars.filter((bar) => bar.kind === "measured");
  const strongest = measured.reduce<Bar | null>(
    (best, bar) => (best && best.weight >= bar.weight ? best : bar),
    null,
  );
  return {
    bars,
    groups: layout.groups,
    measured: measured.length,
    absent: bars.filter((bar) => bar.kind === "absent").length,
    peak: strongest !== null && strongest.weight > 0 ? strongest : null,
  };
}

/** What is known of a block beyond its strength, in the order it is shown. */
function numbersOf(block: Block): BlockNumber[] {
  const numbers: [name: string, value: number | null | undefined, text: (value: number) => string][] = [
    ["rank", block.rank, String],
    ["RMS change", block.rms_change, formatSmall],
    ["stable rank", block.stable_rank, (value) => value.toFixed(2)],
    ["rank for 95 %", block.energy_rank?.["95"], String],
  ];
  return numbers.flatMap(([name, value, text]) =>
    value === null || value === undefined ? [] : [{ name, text: text(value) }],
  );
}

/** One bar in words, for the readout and for screen readers. */
export function describeBar(bar: Bar): string {
  const place = `${bar.label}, ${bar.group.title.toLowerCase()} ${bar.groupIndex + 1} of ${bar.group.count}`;
  if (bar.kind === "absent") return `${place}: not in this file`;
  if (bar.kind === "unmeasured") return `${place}: not measured, stands at ${formatWeight(bar.weight)}`;
  const numbers = bar.numbers.map(({ name, text }) => `, ${name} ${text}`).join("");
  return `${place}: weight ${formatWeight(bar.weight)}, raw strength ${formatStrength(bar.rawStrength ?? 0)}${numbers}`;
}
