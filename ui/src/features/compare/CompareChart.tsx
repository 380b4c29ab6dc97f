/** LoRAs over each other, or against one of them: a plot by block, and under it a strip of strengths for each. */
import { type KeyboardEvent, type RefObject, useRef, useState } from "react";
import { barPositions, strengthStep } from "@/components/blocks/sparkline";
import { useWidth } from "@/lib/hooks";
import { labelEvery, niceTicks } from "@/lib/ticks";
import css from "./compare.module.css";
import { type CompareModel, describeRow, formatValue, type Row, runsOf, type Series } from "./compareModel";
import { Readout } from "./Readout";
import { seriesColour, seriesDash } from "./seriesLook";

const TOP = 30; // group titles
const PLOT = 220;
const BASE = TOP + PLOT;
const STRIP = 12; // one LoRA's strip
const LEFT = 58;
const RIGHT = 8;
const GROUP_GAP = 22;
const WIDEST_STEP = 48;
const LABELS = 26; // block labels under the strips
const NAME_ROW = 18;
const NAME_WIDTH = 330;
const DIGIT = 6.7; // width of a tick's character, pixels

interface Frame {
  x: readonly number[];
  step: number;
  right: number;
  stripsAt: number;
  stripsEnd: number;
  y: (value: number) => number;
}

function layOut(model: CompareModel, width: number): Frame {
  const widest = model.rows.length * WIDEST_STEP + (model.groups.length - 1) * GROUP_GAP;
  const plot = Math.min(width - LEFT - RIGHT, widest);
  const { x, step } = barPositions(model.groups, plot, GROUP_GAP);
  const span = model.high - model.low || 1;
  const stripsAt = BASE + 10;
  return {
    x: x.map((left) => left + LEFT),
    step,
    right: LEFT + plot,
    stripsAt,
    stripsEnd: stripsAt + model.series.length * STRIP,
    y: (value) => BASE - ((value - model.low) / span) * PLOT,
  };
}

interface CompareChartProps {
  model: CompareModel;
  title: string;
  colourOf: (groupKey: string) => string;
  svgRef: RefObject<SVGSVGElement | null>;
}

export function CompareChart({ model, title, colourOf, svgRef }: CompareChartProps) {
  const box = useRef<HTMLDivElement>(null);
  const width = useWidth(box);
  const [pointed, setPointed] = useState<number | null>(null);
  const frame = layOut(model, width);
  const nameColumns = Math.max(1, Math.floor((width - LEFT) / NAME_WIDTH));
  const namesAt = frame.stripsEnd + LABELS;
  const height = namesAt + Math.ceil(model.series.length / nameColumns) * NAME_ROW + 4;
  return (
    <figure>
      <Readout row={model.rows.find(({ index }) => index === pointed) ?? null} model={model} />
      <div ref={box} style={{ height }}>
        {width > 0 && (
          <svg
            ref={svgRef}
            width={width}
            height={height}
            viewBox={`0 0 ${width} ${height}`}
            role="group"
            aria-label={`${title}: ${model.rows.length} blocks. Arrow keys move between them.`}
            className={css.chart}
            onPointerLeave={() => setPointed(null)}
          >
            <Axis model={model} frame={frame} />
            <GroupTitles model={model} frame={frame} colourOf={colourOf} />
            <Places model={model} frame={frame} pointed={pointed} onPoint={setPointed} />
            {model.reference === null ? (
              <Lines model={model} frame={frame} />
            ) : (
              <Differences model={model} frame={frame} />
            )}
            <Strips model={model} frame={frame} />
            <Names series={model.series} top={namesAt} columns={nameColumns} />
          </svg>
        )}
      </div>
    </figure>
  );
}

const AXIS_NAMES = { weight: "weight", raw: "raw strength", rms: "RMS change" } as const;

function Axis({ model, frame }: { model: CompareModel; frame: Frame }) {
  const up =
    model.measure === "weight" && model.reference === null
      ? [0, 0.25, 0.5, 0.75, 1]
      : niceTicks(model.high, 4);
  const ticks = model.low < 0 ? [...up.slice(1).map((tick) => -tick), ...up] : up;
  const text = (tick: number) =>
    tick === 0 ? "0" : `${tick < 0 ? "−" : model.low < 0 ? "+" : ""}${tickText(Math.abs(tick), model)}`;
  return (
    <g aria-hidden="true">
      {ticks.map((tick) => (
        <g key={tick}>
          <line
            className={tick === 0 ? css.base : css.rule}
            x1={LEFT}
            x2={frame.right}
            y1={frame.y(tick)}
            y2={frame.y(tick)}
          />
          <text className={css.tick} x={LEFT - 7} y={frame.y(tick) + 3.5} textAnchor="end">
            {text(tick)}
          </text>
        </g>
      ))}
      <text className={css.tick} x={0} y={TOP - 14}>
        {model.reference === null ? AXIS_NAMES[model.measure] : `less ${model.reference.letter}`}
      </text>
    </g>
  );
}

function tickText(tick: number, { measure }: CompareModel): string {
  return measure === "weight" ? String(Number.parseFloat(tick.toPrecision(3))) : formatValue(tick, measure);
}

function GroupTitles({
  model,
  frame,
  colourOf,
}: Pick<CompareChartProps, "model" | "colourOf"> & { frame: Frame }) {
  return (
    <g aria-hidden="true">
      {model.groups.map((group) => {
        const left = frame.x[group.start] ?? 0;
        const room = group.count * frame.step;
        const whole = `${group.title}  ${group.count}`;
        return (
          <g key={group.key}>
            <rect
              x={left}
              y={TOP - 10}
              width={Math.max(room - 2, 4)}
              height={2}
              style={{ fill: colourOf(group.key) }}
            />
            <text className={css.group} x={left} y={TOP - 16}>
              {whole.length * 6.3 <= room + GROUP_GAP - 6 ? whole : `${group.abbreviation} ${group.count}`}
            </text>
          </g>
        );
      })}
    </g>
  );
}

interface PlacesProps {
  model: CompareModel;
  frame: Frame;
  pointed: number | null;
  onPoint: (index: number | null) => void;
}

/** What the pointer and the focus meet: a column for each block, with its label. */
function Places({ model, frame, pointed, onPoint }: PlacesProps) {
  const [focused, setFocused] = useState(0);
  const { x, step } = frame;
  const longest = Math.max(...model.rows.map(({ label }) => label.length)) * DIGIT;
  const every = labelEvery(step, longest);
  const pointedAt = pointed === null ? null : (x[pointed] ?? 0);
  const isLabelled = (row: Row, left: number) =>
    row.index === pointed ||
    (row.groupIndex % every === 0 && (pointedAt === null || Math.abs(left - pointedAt) > longest + 4));
  const move = (event: KeyboardEvent<SVGGElement>, place: number) => {
    const last = model.rows.length - 1;
    const steps: Record<string, number> = { ArrowRight: place + 1, ArrowLeft: place - 1, Home: 0, End: last };
    const to = steps[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const target = model.rows[Math.min(Math.max(to, 0), last)]?.index;
    event.currentTarget.parentElement?.querySelector<SVGGElement>(`[data-place="${target}"]`)?.focus();
  };
  return (
    <g>
      {model.rows.map((row, place) => {
        const left = x[row.index] ?? 0;
        return (
          <g
            key={row.index}
            role="img"
            aria-label={describeRow(row, model)}
            data-place={row.index}
            data-pointed={pointed === row.index || undefined}
            className={css.place}
            tabIndex={place === Math.min(focused, model.rows.length - 1) ? 0 : -1}
            onPointerEnter={() => onPoint(row.index)}
            onFocus={() => {
              setFocused(place);
              onPoint(row.index);
            }}
            onBlur={() => onPoint(null)}
            onKeyDown={(event) => move(event, place)}
          >
            <rect
              className={css.reach}
              x={left}
              y={TOP - 4}
              width={step}
              height={frame.stripsEnd - TOP + LABELS - 2}
            />
            {isLabelled(row, left) && (
              <text className={css.tick} x={left + step / 2} y={frame.stripsEnd + 15} textAnchor="middle">
                {row.label}
              </text>
            )}
          </g>
        );
      })}
    </g>
  );
}

/** Overlaid: a line with dots for each LoRA, broken where it has nothing and between groups. */
function Lines({ model, frame }: { model: CompareModel; frame: Frame }) {
  const radius = Math.min(Math.max(frame.step / 6, 1.2), 2.6);
  return (
    <g aria-hidden="true" className={css.drawn}>
      {model.series.map((series) =>
        runsOf(model, series).map((run) => {
          const points = run.map(({ index, value }) => ({
            index,
            x: (frame.x[index] ?? 0) + frame.step / 2,
            y: frame.y(value),
          }));
          return (
            <g key={`${series.id} ${run[0]?.index}`} data-series={series.letter}>
              <path
                className={css.line}
                d={points
                  .map(({ x, y }, place) => `${place === 0 ? "M" : "L"}${x.toFixed(1)} ${y.toFixed(1)}`)
                  .join("")}
                style={{ stroke: seriesColour(series.place), strokeDasharray: seriesDash(series.place) }}
              />
              {points.map(({ index, x, y }) => (
                <circle key={index} cx={x} cy={y} r={radius} style={{ fill: seriesColour(series.place) }} />
              ))}
            </g>
          );
        }),
      )}
    </g>
  );
}

/** Against one of them: a bar up or down from zero for each of the others. */
function Differences({ model, frame }: { model: CompareModel; frame: Frame }) {
  const others = model.series.filter((series) => series !== model.reference);
  const wide = Math.max((frame.step - Math.min(frame.step / 4, 4)) / others.length, 0.8);
  const zero = frame.y(0);
  return (
    <g aria-hidden="true" className={css.drawn}>
      {model.rows.flatMap((row) =>
        row.cells.flatMap((cell) => {
          const at = others.indexOf(cell.series);
          if (at < 0 || cell.difference === null || (cell.difference === 0 && cell.value === null)) return [];
          const y = frame.y(cell.difference);
          return [
            <rect
              key={`${row.index} ${cell.series.id}`}
              data-series={cell.series.letter}
              x={(frame.x[row.index] ?? 0) + at * wide + 1}
              y={Math.min(y, zero)}
              width={Math.max(wide - 0.5, 0.8)}
              height={Math.max(Math.abs(y - zero), 0.6)}
              style={{ fill: seriesColour(cell.series.place) }}
            />,
          ];
        }),
      )}
    </g>
  );
}

/** A row of strengths for each LoRA; a ring where its file has nothing, empty where its layout has no such block. */
function Strips({ model, frame }: { model: CompareModel; frame: Frame }) {
  return (
    <g aria-hidden="true" className={css.drawn}>
      {model.series.map((series, line) => {
        const top = frame.stripsAt + line * STRIP;
        return (
          <g key={series.id}>
            <text className={css.letter} x={LEFT - 7} y={top + 9} textAnchor="end">
              {series.letter}
            </text>
            {model.rows.map((row) => {
              const cell = row.cells.find((one) => one.series === series);
              const left = frame.x[row.index] ?? 0;
              if (cell?.state === "absent")
                return (
                  <circle
                    key={row.index}
                    className={css.absent}
                    cx={left + frame.step / 2}
                    cy={top + STRIP / 2 - 1}
                    r={Math.min(2.4, frame.step / 3)}
                  />
                );
              if (cell === undefined || cell.value === null) return null;
              return (
                <rect
                  key={row.index}
                  x={left}
                  y={top}
                  width={Math.max(frame.step - (frame.step > 6 ? 1 : 0.25), 0.5)}
                  height={STRIP - 2}
                  style={{ fill: `var(--strength-${strengthStep(cell.value / (model.largest || 1))})` }}
                />
              );
            })}
          </g>
        );
      })}
    </g>
  );
}

/** Which line is whose; in the drawing, so that a saved one can be read without the page. */
function Names({ series, top, columns }: { series: readonly Series[]; top: number; columns: number }) {
  return (
    <g aria-hidden="true">
      {series.map((one, at) => {
        const left = LEFT + (at % columns) * NAME_WIDTH;
        const y = top + Math.floor(at / columns) * NAME_ROW + 10;
        const text = `${one.letter}  ${one.name}`;
        return (
          <g key={one.id}>
            <path
              className={css.line}
              d={`M${left} ${y - 4}h26`}
              style={{ stroke: seriesColour(one.place), strokeDasharray: seriesDash(one.place) }}
            />
            <text className={css.group} x={left + 33} y={y}>
              {text.length > 42 ? `${text.slice(0, 41)}…` : text}
            </text>
          </g>
        );
      })}
    </g>
  );
}
