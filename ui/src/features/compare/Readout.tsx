/** The line above the chart: every LoRA's value at the block that the pointer or the focus is on. */
import css from "./compare.module.css";
import { type CompareModel, cellText, formatDifference, type Row } from "./compareModel";
import { SeriesSign } from "./SeriesSign";

export function Readout({ row, model }: { row: Row | null; model: CompareModel }) {
  return (
    <p className={css.readout} aria-hidden="true">
      {row === null ? (
        <span className="faint">Point at a block to read every value.</span>
      ) : (
        <>
          <b>{row.label}</b>
          {row.cells.map((cell) => (
            <span key={cell.series.id} className={css.reading}>
              <SeriesSign series={cell.series} />
              {cell.value === null ? (
                <span className="faint">{cellText(cell, model.measure)}</span>
              ) : (
                <em>{cellText(cell, model.measure)}</em>
              )}
              {cell.difference !== null && cell.series !== model.reference && (
                <span>{formatDifference(cell.difference, model.measure)}</span>
              )}
            </span>
          ))}
        </>
      )}
    </p>
  );
}
