/** The block profile of a row, or why there is none. */
import type { LoraRow } from "@/api/client";
import type { Registry } from "@/api/registry";
import { Sparkline } from "@/components/blocks/Sparkline";
import css from "./library.module.css";

interface ProfileProps {
  row: LoraRow;
  registry: Registry;
  width: number;
  height: number;
}

export function Profile({ row, registry, width, height }: ProfileProps) {
  if (row.weights === null || row.fallback)
    return <span className={css.noProfile}>{row.pending ? "not read yet" : "not measured"}</span>;
  return (
    <>
      <Sparkline
        groups={registry.layout(row.block_layout)?.groups}
        weights={row.weights}
        colourOf={registry.colourOf}
        width={width}
        height={height}
      />
      <span className="visually-hidden">{row.weights.length} blocks</span>
    </>
  );
}
