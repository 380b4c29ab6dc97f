/** A LoRA's letter with a piece of its line. */
import css from "./compare.module.css";
import type { Series } from "./compareModel";
import { seriesColour, seriesDash } from "./seriesLook";

export function SeriesSign({ series }: { series: Series }) {
  return (
    <span className={css.sign}>
      <svg width="26" height="8" viewBox="0 0 26 8" aria-hidden="true">
        <path
          className={css.line}
          d="M0 4h26"
          style={{ stroke: seriesColour(series.place), strokeDasharray: seriesDash(series.place) }}
        />
      </svg>
      <b>{series.letter}</b>
    </span>
  );
}
