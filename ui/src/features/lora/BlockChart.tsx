/** The block chart: one bar a block, groups side by side, weight on the left axis and raw strength on the right. */
import { type KeyboardEvent, type RefObject, useId, useRef, useState } from "react";
import { blockPlaces, GROUP_GAP, LEFT } from "@/components/blocks/blockPlaces";
import { strengthStep } from "@/components/blocks/sparkline";
import { formatStrength } from "@/lib/format";
import { useWidth } from "@/lib/hooks";
import { labelEvery, niceTicks } from "@/lib/ticks";
import css from "./chart.module.css";
import { type Bar, type ChartModel, describeBar } from "./chartModel";

const HEIGHT = 262;
const TOP = 30; // group titles
const PLOT = 188; // bars
const RIBBON = 10; // the strength scale under the bars
const BASE = TOP + PLOT;
const WEIGHT_TICKS = [0, 0.25, 0.5, 0.75, 1];
const DIGIT = 6.7; // width of a tick's character, pixels

interface BlockChartProps {
  model: ChartModel;
  title: string;
  colourOf: (groupKey: string) => string;
  svgRef: RefObject<SVGSVGElement | null>;
}

export function BlockChart({ model, title, colourOf, svgRef }: BlockChartProps) {
  const frame = useRef<HTMLDivElement>(null);
  const width = useWidth(frame);
  const [pointed, setPointed] = useState<number | null>(null);
  const [focused, setFocused] = useState(0);
  const hatch = useId();
  const shown = model.bars.find((bar) => bar.index === pointed) ?? null;

  return (
    <figure>
      <Readout bar={shown} model={model} />
      <div ref={frame} className={css.frame} style={{ height: HEIGHT }}>
        {width > 0 && (
          <svg
            ref={svgRef}
            width={width}
            height={HEIGHT}
            viewBox={`0 0 ${width} ${HEIGHT}`}
            role="group"
            aria-label={`${title}: ${model.bars.length} blocks. Arrow keys move between them.`}
            className={css.chart}
            onPointerLeave={() => setPointed(null)}
          >
            <defs>
              <pattern
                id={hatch}
                width="5"
                height="5"
                patternUnits="userSpaceOnUse"
                patternTransform="rotate(45)"
              >
                <path className={css.hatch} d="M0 0V5" />
              </pattern>
            </defs>
            <Axes model={model} width={width} />
            <Groups model={model} width={width} colourOf={colourOf} />
            <Bars
              model={model}
              width={width}
              hatch={hatch}
              colourOf={colourOf}
              pointed={pointed}
              focused={focused}
              onPoint={setPointed}
              onFocus={setFocused}
            />
          </svg>
        )}
      </div>
    </figure>
  );
}

/** The line above the chart that says what the pointer or the focus is on; else what stands out. */
function Readout({ bar, model }: { bar: Bar | null; model: ChartModel }) {
  const subject = bar ?? model.peak;
  return (
    <p className={css.readout} aria-hidden="true">
      {subject === null ? (
        <span className="faint">Point at a bar to read it.</span>
      ) : (
        <>
          <b>{subject.label}</b>
          <span>
            {bar === null ? "strongest · " : ""}
            {subject.group.title} {subject.groupIndex + 1} of {subject.group.count}
          </span>
          {subject.kind === "absent" && <span>not in this file</span>}
          {subject.kind === "unmeasured" && <span>not measured</span>}
          {subject.kind === "measured" && (
            <>
              <span>
                weight <em>{subject.weight.toFixed(3)}</em>
              </span>
              <span>
                raw <em>{formatStrength(subject.rawStrength ?? 0)}</em>
              </span>
              {subject.numbers.map(({ name, text }) => (
                <span key={name}>
                  {name} <em>{text}</em>
                </span>
              ))}
            </>
          )}
        </>
      )}
    </p>
  );
}

function layOut(model: ChartModel, width: number) {
  return blockPlaces(model.groups, model.bars.length, width);
}

function Axes({ model, width }: { model: ChartModel; width: number }) {
  const { right } = layOut(model, width);
  const max = model.peak?.rawStrength ?? 0;
  const scale = model.peak && max > 0 ? PLOT / (max / model.peak.weight) : 0;
  return (
    <g aria-hidden="true">
      {WEIGHT_TICKS.map((tick) => {
        const y = BASE - tick * PLOT;
        return (
          <g key={tick}>
            <line className={tick === 0 ? css.base : css.rule} x1={LEFT} x2={right} y1={y} y2={y} />
            <text className={css.tick} x={LEFT - 7} y={y + 3.5} textAnchor="end">
              {tick === 0 || tick === 1 ? tick : tick.toFixed(2).slice(1)}
            </text>
          </g>
        );
      })}
      <text className={css.tick} x={LEFT - 7} y={TOP - 14} textAnchor="end">
        weight
      </text>
      {scale > 0 && (
        <>
          <text className={css.tick} x={right + 10} y={TOP - 14}>
            raw
          </text>
          {niceTicks(max, 5).map((tick) => {
            const y = BASE - tick * scale;
            return (
              <g key={tick}>
                <line className={css.base} x1={right + 1} x2={right + 6} y1={y} y2={y} />
                <text className={css.tick} x={right + 10} y={y + 3.5}>
                  {formatStrength(tick)}
                </text>
              </g>
            );
          })}
        </>
      )}
    </g>
  );
}

function Groups({ model, width, colourOf }: Pick<BlockChartProps, "model" | "colourOf"> & { width: number }) {
  const { x, step, bar } = layOut(model, width);
  return (
    <g aria-hidden="true">
      {model.groups.map((group) => {
        const left = x[group.start] ?? 0;
        const room = group.count * step;
        const whole = `${group.title}  ${group.count}`;
        const text =
          whole.length * 6.3 <= room + GROUP_GAP - 6 ? whole : `${group.abbreviation} ${group.count}`;
        return (
          <g key={group.key}>
            <rect
              x={left}
              y={TOP - 10}
              width={Math.max((group.count - 1) * step + bar, 4)}
              height={2}
              style={{ fill: colourOf(group.key) }}
            />
            <text className={css.group} x={left} y={TOP - 16}>
              {text}
            </text>
          </g>
        );
      })}
    </g>
  );
}

interface BarsProps extends Pick<BlockChartProps, "model" | "colourOf"> {
  width: number;
  hatch: string;
  pointed: number | null;
  focused: number;
  onPoint: (index: number | null) => void;
  onFocus: (index: number) => void;
}

function Bars({ model, width, hatch, colourOf, pointed, focused, onPoint, onFocus }: BarsProps) {
  const { x, step, bar, gap } = layOut(model, width);
  const longest = Math.max(...model.bars.map(({ label }) => label.length));
  const every = labelEvery(step, longest * DIGIT);
  // The label of the bar pointed at always shows, and those it would run into make room.
  const pointedAt = pointed === null ? null : (x[pointed] ?? 0);
  const isLabelled = (item: Bar, left: number) =>
    item.index === pointed ||
    (item.groupIndex % every === 0 &&
      (pointedAt === null || Math.abs(left - pointedAt) > longest * DIGIT + 4));
  const move = (event: KeyboardEvent<SVGGElement>, place: number) => {
    const last = model.bars.length - 1;
    const steps: Record<string, number> = { ArrowRight: place + 1, ArrowLeft: place - 1, Home: 0, End: last };
    const to = steps[event.key];
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    const target = event.currentTarget.parentElement?.querySelector<SVGGElement>(
      `[data-block="${model.bars[Math.min(Math.max(to, 0), last)]?.index}"]`,
    );
    target?.focus();
  };
  return (
    <g>
      {model.bars.map((item, place) => {
        const left = x[item.index] ?? 0;
        const centre = left + bar / 2;
        const isPointed = pointed === item.index;
        return (
          <g
            key={item.index}
            role="img"
            aria-label={describeBar(item)}
            data-block={item.index}
            data-kind={item.kind}
            data-pointed={isPointed || undefined}
            className={css.bar}
            tabIndex={place === focused ? 0 : -1}
            onPointerEnter={() => onPoint(item.index)}
            onFocus={() => {
              onFocus(place);
              onPoint(item.index);
            }}
            onBlur={() => onPoint(null)}
            onKeyDown={(event) => move(event, place)}
          >
            <rect
              className={css.reach}
              x={left - gap / 2}
              y={TOP - 4}
              width={step}
              height={PLOT + RIBBON + 30}
            />
            <BarShape item={item} left={left} width={bar} hatch={hatch} colour={colourOf(item.group.key)} />
            {isLabelled(item, left) && (
              <text className={css.tick} x={centre} y={BASE + RIBBON + 24} textAnchor="middle">
                {item.label}
              </text>
            )}
            <line
              className={css.notch}
              x1={centre}
              x2={centre}
              y1={BASE + RIBBON + 8}
              y2={BASE + RIBBON + (item.groupIndex % every === 0 ? 13 : 11)}
            />
          </g>
        );
      })}
    </g>
  );
}

interface BarShapeProps {
  item: Bar;
  left: number;
  width: number;
  hatch: string;
  colour: string;
}

/** Measured: solid, with its step of the strength scale below. Unmeasured: hatched. Absent: a ring under the line. */
function BarShape({ item, left, width, hatch, colour }: BarShapeProps) {
  if (item.kind === "absent") {
    return (
      <circle
        className={css.absent}
        cx={left + width / 2}
        cy={BASE + 5 + RIBBON / 2 - 1}
        r={Math.min(2.6, width / 2.6)}
      />
    );
  }
  const height = Math.max(Math.min(item.weight, 1) * PLOT, 1);
  if (item.kind === "unmeasured") {
    return (
      <rect
        className={css.unmeasured}
        x={left}
        y={BASE - height}
        width={width}
        height={height}
        fill={`url(#${hatch})`}
      />
    );
  }
  return (
    <>
      <rect
        className={css.solid}
        x={left}
        y={BASE - height}
        width={width}
        height={height}
        style={{ fill: colour }}
      />
      <rect
        x={left}
        y={BASE + 4}
        width={width}
        height={RIBBON - 2}
        style={{ fill: `var(--strength-${strengthStep(item.weight)})` }}
      />
    </>
  );
}
