/** The block profile of one LoRA, small: a row's picture. */
import { memo } from "react";
import type { LayoutGroup } from "@/api/client";
import { barPositions, runPath } from "./sparkline";

interface SparklineProps {
  /** The layout's groups; without them (registry on its way) all bars are one grey run. */
  groups: readonly LayoutGroup[] | undefined;
  weights: readonly number[];
  colourOf: (groupKey: string) => string;
  width: number;
  height: number;
}

export const Sparkline = memo(function Sparkline({
  groups,
  weights,
  colourOf,
  width,
  height,
}: SparklineProps) {
  const runs = groups?.map((group) => ({ ...group, fill: colourOf(group.key) })) ?? [
    { key: "all", start: 0, count: weights.length, fill: "var(--line)" },
  ];
  const positions = barPositions(runs, width);
  return (
    <svg
      width={width}
      height={height}
      viewBox={`0 0 ${width} ${height}`}
      aria-hidden="true"
      style={{ display: "block" }}
    >
      {runs.map((run) => (
        <path key={run.key} d={runPath(weights, run, positions, height)} style={{ fill: run.fill }} />
      ))}
    </svg>
  );
});
