/** The multipliers as bars to drag, over the same places as the measured chart, with the measured strength behind. */
import { type KeyboardEvent, type PointerEvent, useRef, useState } from "react";
import type { Layout } from "@/api/client";
import { blockPlaces, GROUP_GAP, LEFT } from "@/components/blocks/blockPlaces";
import { useWidth } from "@/lib/hooks";
import { labelEvery } from "@/lib/ticks";
import css from "./profileChart.module.css";
import {
  afterKey,
  formatMultiplier,
  type Limits,
  NEUTRAL,
  type Span,
  spanOf,
  ticksOf,
  valueAt,
  withOne,
  withRange,
} from "./profileModel";

const TOP = 30; // group titles
const PLOT = 200;
const HEIGHT = TOP + PLOT + 30;
const DIGIT = 6.7; // width of a tick's character, pixels

interface ProfileChartProps {
  weights: readonly number[];
  layout: Layout;
  shape: readonly (number | null)[];
  limits: Limits;
  colourOf: (groupKey: string) => string;
  selected: number;
  onSelect: (index: number) => void;
  onWeights: (weights: readonly number[]) => void;
  /** Enter on a bar: its number is to be typed. */
  onType: () => void;
}

type Places = ReturnType<typeof blockPlaces>;

/** Where a multiplier stands, from the upper edge. */
function heightOf(value: number, { low, high }: Span): number {
  return TOP + ((high - value) / (high - low)) * PLOT;
}

export function ProfileChart(props: ProfileChartProps) {
  const { weights, layout, limits, onWeights } = props;
  const frame = useRef<HTMLDivElement>(null);
  const width = useWidth(frame);
  // The axis holds still under a drag; it fits the multipliers again when the bar is let go.
  const [drag, setDrag] = useState<{ index: number; span: Span } | null>(null);
  const span = drag?.span ?? spanOf(weights);
  const places = blockPlaces(layout.groups, layout.block_count, width);

  const moved = (event: PointerEvent<SVGSVGElement>, index: number) => {
    const box = event.currentTarget.getBoundingClientRect();
    const value = valueAt(event.clientY - box.top - TOP, PLOT, span, limits);
    const under = event.shiftKey ? blockAt(event.clientX - box.left, places) : index;
    setDrag({ index: under, span });
    // The focus goes along, and with it the selection.
    event.currentTarget.querySelector<SVGGElement>(`[data-multiplier="${under}"]`)?.focus();
    onWeights(withRange(weights, index, under, value));
  };
  const begin = (event: PointerEvent<SVGSVGElement>) => {
    const bar = (event.target as Element).closest<SVGGElement>("[data-multiplier]");
    if (bar === null || event.button !== 0) return;
    event.preventDefault();
    event.currentTarget.setPointerCapture(event.pointerId);
    moved(event, Number(bar.dataset.multiplier));
  };
  return (
    <div ref={frame} className={css.frame} style={{ height: HEIGHT }}>
      {width > 0 && (
        <svg
          width={width}
          height={HEIGHT}
          viewBox={`0 0 ${width} ${HEIGHT}`}
          role="group"
          aria-label={`Multipliers of ${layout.block_count} blocks. Left and right move between them, up and down change one.`}
          className={css.chart}
          onPointerDown={begin}
          onPointerMove={(event) => drag && moved(event, drag.index)}
          onPointerUp={() => setDrag(null)}
          onPointerCancel={() => setDrag(null)}
        >
          <Rules span={span} right={places.right} />
          <GroupHeads layout={layout} places={places} colourOf={props.colourOf} />
          <Handles {...props} places={places} span={span} />
        </svg>
      )}
    </div>
  );
}

/** The block whose place is nearest to `x`. */
function blockAt(x: number, { x: lefts, bar }: Places): number {
  let best = 0;
  for (const [index, left] of lefts.entries())
    if (Math.abs(left + bar / 2 - x) < Math.abs((lefts[best] ?? 0) + bar / 2 - x)) best = index;
  return best;
}

function Rules({ span, right }: { span: Span; right: number }) {
  const neutral = heightOf(NEUTRAL, span);
  return (
    <g aria-hidden="true">
      {ticksOf(span).map((tick) => (
        <g key={tick}>
          <line
            className={tick === 0 ? css.base : css.rule}
            x1={LEFT}
            x2={right}
            y1={heightOf(tick, span)}
            y2={heightOf(tick, span)}
          />
          <text className={css.tick} x={LEFT - 7} y={heightOf(tick, span) + 3.5} textAnchor="end">
            {tick}
          </text>
        </g>
      ))}
      <line className={css.neutral} x1={LEFT} x2={right + 6} y1={neutral} y2={neutral} />
      <text className={css.tick} x={right + 10} y={neutral + 3.5}>
        neutral
      </text>
    </g>
  );
}

function GroupHeads({
  layout,
  places: { x, step, bar },
  colourOf,
}: Pick<ProfileChartProps, "layout" | "colourOf"> & { places: Places }) {
  return (
    <g aria-hidden="true">
      {layout.groups.map((group) => {
        const left = x[group.start] ?? 0;
        const whole = `${group.title}  ${group.count}`;
        const fits = whole.length * 6.3 <= group.count * step + GROUP_GAP - 6;
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
              {fits ? whole : `${group.abbreviation} ${group.count}`}
            </text>
          </g>
        );
      })}
    </g>
  );
}

function Handles(props: ProfileChartProps & { places: Places; span: Span }) {
  const { weights, layout, shape, limits, colourOf, selected, places, span } = props;
  const { x, step, bar, gap } = places;
  const every = labelEvery(step, Math.max(...layout.blocks.map(({ label }) => label.length)) * DIGIT);
  const press = (event: KeyboardEvent<SVGGElement>, index: number) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const last = layout.block_count - 1;
    const to = { ArrowRight: index + 1, ArrowLeft: index - 1, Home: 0, End: last }[event.key];
    const value = afterKey(event.key, event.shiftKey, weights[index] ?? NEUTRAL, limits);
    if (to === undefined && value === null && event.key !== "Enter") return;
    event.preventDefault();
    event.stopPropagation();
    if (value !== null) props.onWeights(withOne(weights, index, value));
    else if (to === undefined) props.onType();
    else
      event.currentTarget.parentElement
        ?.querySelector<SVGGElement>(`[data-multiplier="${Math.min(Math.max(to, 0), last)}"]`)
        ?.focus();
  };
  return (
    <g>
      {layout.blocks.map(({ block_index: index, label, group, group_index }) => {
        const weight = weights[index] ?? NEUTRAL;
        const left = x[index] ?? 0;
        const measured = shape[index] ?? null;
        return (
          <g
            key={index}
            role="slider"
            tabIndex={index === selected ? 0 : -1}
            aria-label={label}
            aria-orientation="vertical"
            aria-valuemin={limits.lowest}
            aria-valuemax={limits.highest}
            aria-valuenow={weight}
            aria-valuetext={`${formatMultiplier(weight)}${weight === NEUTRAL ? ", neutral" : ""}${measured === null ? "" : `; measured ${measured.toFixed(3)}`}`}
            data-multiplier={index}
            data-selected={index === selected || undefined}
            className={css.handle}
            onFocus={() => props.onSelect(index)}
            onKeyDown={(event) => press(event, index)}
            onDoubleClick={() => props.onWeights(withOne(weights, index, NEUTRAL))}
          >
            <rect className={css.reach} x={left - gap / 2} y={TOP - 4} width={step} height={PLOT + 26} />
            {measured !== null && (
              <rect
                className={css.measured}
                x={left}
                y={heightOf(Math.min(measured, span.high), span)}
                width={bar}
                height={heightOf(0, span) - heightOf(measured, span)}
              />
            )}
            <Multiplier weight={weight} span={span} left={left} width={bar} colour={colourOf(group)} />
            {(group_index % every === 0 || index === selected) && (
              <text className={css.tick} x={left + bar / 2} y={TOP + PLOT + 18} textAnchor="middle">
                {label}
              </text>
            )}
          </g>
        );
      })}
    </g>
  );
}

interface MultiplierProps {
  weight: number;
  span: Span;
  left: number;
  width: number;
  colour: string;
}

/** From zero to the multiplier, with a cap to take hold of. Neutral is hollow: nothing is done there. */
function Multiplier({ weight, span, left, width, colour }: MultiplierProps) {
  const inner = Math.max(width * 0.56, 1);
  const end = heightOf(weight, span);
  const zero = heightOf(0, span);
  const isNeutral = weight === NEUTRAL;
  return (
    <>
      <rect
        className={isNeutral ? css.hollow : css.solid}
        x={left + (width - inner) / 2}
        y={Math.min(end, zero)}
        width={inner}
        height={Math.abs(end - zero)}
        style={isNeutral ? { stroke: colour } : { fill: colour }}
      />
      <rect className={css.cap} x={left} y={end - 1.5} width={width} height={3} rx={1} />
    </>
  );
}
