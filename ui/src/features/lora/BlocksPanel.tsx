/** The panel with the block chart, its legend and what can be done with it. */
import { useRef, useState } from "react";
import type { BlocksAnswer, Layout, LoraDetail } from "@/api/client";
import { useRegistry } from "@/api/registry";
import { LayoutBadge } from "@/components/blocks/LayoutBadge";
import { Button, Mark, Note } from "@/components/ui";
import { displayName, withoutPath } from "@/lib/format";
import { saveFile, standaloneSvg } from "@/lib/saveSvg";
import { BlockChart } from "./BlockChart";
import { BlockTable } from "./BlockTable";
import { type ChartModel, chartModel } from "./chartModel";
import css from "./lora.module.css";

interface BlocksPanelProps {
  entry: LoraDetail;
  answer: BlocksAnswer;
}

export function BlocksPanel({ entry, answer }: BlocksPanelProps) {
  const registry = useRegistry();
  const layout = registry.layout(answer.block_layout);
  if (layout === undefined) {
    return (
      <section className={css.panel} aria-labelledby="blocks">
        <h2 id="blocks">Blocks</h2>
        <p className={css.nothing}>
          {answer.fallback_reason ??
            (answer.block_layout === null
              ? "No known layout fits this file, so there are no blocks to show."
              : `The layout ${answer.block_layout} is not in this server's registry.`)}
        </p>
      </section>
    );
  }
  return <Chart entry={entry} answer={answer} layout={layout} colourOf={registry.colourOf} />;
}

interface ChartProps extends BlocksPanelProps {
  layout: Layout;
  colourOf: (groupKey: string | null) => string;
}

function Chart({ entry, answer, layout, colourOf }: ChartProps) {
  const [asTable, setAsTable] = useState(false);
  const svg = useRef<SVGSVGElement>(null);
  const model = chartModel(layout, answer.blocks, answer.fallback);
  const title = `Block strengths of ${displayName(entry.filename)}`;
  const save = () => {
    if (svg.current)
      saveFile(standaloneSvg(svg.current, title), "image/svg+xml", `${entry.stable_id}-blocks.svg`);
  };
  return (
    <section className={css.panel} aria-labelledby="blocks">
      <div className={css.panelHead}>
        <h2 id="blocks">Blocks</h2>
        <Mark>
          {model.measured} of {layout.block_count} blocks
        </Mark>
        <LayoutBadge layout={layout} colourOf={colourOf} />
        <span className={css.layoutTitle}>{layout.title}</span>
        <div className={css.panelTools}>
          <Button kind="quiet" aria-pressed={asTable} onClick={() => setAsTable(!asTable)}>
            {asTable ? "Show the chart" : "Read as a table"}
          </Button>
          <Button kind="quiet" onClick={save} disabled={asTable}>
            Save SVG
          </Button>
          {answer.has_block_weights && (
            <a
              className={css.download}
              href={`/api/lora/${encodeURIComponent(entry.stable_id)}/export`}
              download
            >
              Save CSV
            </a>
          )}
        </div>
      </div>
      {answer.fallback && (
        <Note tone="warn" title="Not measured: the bars are neutral stand-ins">
          <p>
            {answer.fallback_reason === null
              ? "The server gives no reason."
              : answer.fallback_reason === entry.error
                ? "The file could not be read."
                : withoutPath(answer.fallback_reason, entry.file_path)}
          </p>
        </Note>
      )}
      {asTable ? (
        <BlockTable model={model} title={title} />
      ) : (
        <BlockChart model={model} title={title} colourOf={colourOf} svgRef={svg} />
      )}
      {!asTable && <Legend model={model} kinds={entry.strength_kinds} />}
    </section>
  );
}

function Legend({ model, kinds }: { model: ChartModel; kinds: readonly string[] }) {
  const unmeasured = model.bars.length - model.measured - model.absent;
  return (
    <p className={css.legend}>
      {model.measured > 0 && (
        <span>
          <i className={css.scale}>
            {Array.from({ length: 9 }, (_, step) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: the steps are their own identity
              <i key={step} style={{ background: `var(--strength-${step})` }} />
            ))}
          </i>
          weak to strong, of this file's strongest block
        </span>
      )}
      {model.absent > 0 && (
        <span>
          <svg width="8" height="8" aria-hidden="true">
            <circle className={css.ring} cx="4" cy="4" r="2.6" />
          </svg>
          {model.absent} not in this file
        </span>
      )}
      {unmeasured > 0 && <span>hatched: not measured</span>}
      {kinds.filter((kind) => kind !== "delta").length > 0 && (
        <span>strength measures {kinds.join(", ")}</span>
      )}
    </p>
  );
}
