/** The comparison's numbers as tables: every value by block, and how alike the shapes are. */
import type { CompareAnswer } from "@/api/client";
import css from "./compare.module.css";
import { type CompareModel, cellText, formatDifference } from "./compareModel";
import { SeriesSign } from "./SeriesSign";

export function CompareTable({ model, title }: { model: CompareModel; title: string }) {
  const { reference, measure } = model;
  return (
    <div className={css.tableFrame} tabIndex={0} role="group" aria-label={title}>
      <table className={css.table}>
        <caption className="visually-hidden">{title}</caption>
        <thead>
          <tr>
            <th scope="col">Block</th>
            <th scope="col">Group</th>
            {model.series.map((series) => (
              <th key={series.id} scope="col" className={css.number} title={series.name}>
                {series.letter} {series.id}
              </th>
            ))}
            {reference !== null &&
              model.series
                .filter((series) => series !== reference)
                .map((series) => (
                  <th key={series.id} scope="col" className={css.number}>
                    {series.letter} less {reference.letter}
                  </th>
                ))}
          </tr>
        </thead>
        <tbody>
          {model.rows.map((row) => (
            <tr key={row.index} data-place-row={row.index}>
              <th scope="row" className="mono">
                {row.label}
              </th>
              <td>{row.group.title}</td>
              {row.cells.map((cell) => (
                <td key={cell.series.id} className={cell.value === null ? `${css.number} faint` : css.number}>
                  {cellText(cell, measure)}
                </td>
              ))}
              {reference !== null &&
                row.cells
                  .filter(({ series }) => series !== reference)
                  .map(({ series, difference }) => (
                    <td key={series.id} className={css.number}>
                      {difference === null ? "not known" : formatDifference(difference, measure)}
                    </td>
                  ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** A triangle of cosines, named for what they are. */
export function SimilarityTable({ answer, model }: { answer: CompareAnswer; model: CompareModel }) {
  const between = new Map(answer.similarities.map(({ one, other, cosine }) => [`${one} ${other}`, cosine]));
  const [, ...columns] = model.series;
  return (
    <section className={css.similar} aria-labelledby="similar">
      <h2 id="similar">Similar shape, not similar weights</h2>
      <p>
        Cosine of the block strengths: 1 where two LoRAs spread their change over the blocks in the same
        proportions, 0 where they share no block they change. It says nothing of what the changes are.
      </p>
      <table className={css.matrix}>
        <caption className="visually-hidden">Cosine of the block strengths, pair by pair</caption>
        <thead>
          <tr>
            <td />
            {columns.map((series) => (
              <th key={series.id} scope="col">
                <SeriesSign series={series} />
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {model.series.slice(0, -1).map((row, line) => (
            <tr key={row.id}>
              <th scope="row">
                <SeriesSign series={row} />
              </th>
              {columns.map((column, at) => {
                const cosine = between.get(`${row.id} ${column.id}`);
                return (
                  <td key={column.id}>
                    {at < line ? "" : typeof cosine === "number" ? cosine.toFixed(3) : "no common block"}
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
