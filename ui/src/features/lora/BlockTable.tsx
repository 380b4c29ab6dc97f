/** The chart's numbers as a table. */
import { formatStrength, formatWeight } from "@/lib/format";
import css from "./chart.module.css";
import type { BarKind, ChartModel } from "./chartModel";

const STATE: Record<BarKind, string> = {
  measured: "measured",
  absent: "not in this file",
  unmeasured: "not measured",
};

export function BlockTable({ model, title }: { model: ChartModel; title: string }) {
  const names = [...new Set(model.bars.flatMap(({ numbers }) => numbers.map(({ name }) => name)))];
  return (
    <div className={css.tableFrame} tabIndex={0} role="group" aria-label={title}>
      <table className={css.table}>
        <caption className="visually-hidden">{title}</caption>
        <thead>
          <tr>
            <th scope="col">Block</th>
            <th scope="col">Group</th>
            <th scope="col" className={css.number}>
              Weight
            </th>
            <th scope="col" className={css.number}>
              Raw strength
            </th>
            {names.map((name) => (
              <th key={name} scope="col" className={css.number}>
                {name.charAt(0).toUpperCase() + name.slice(1)}
              </th>
            ))}
            <th scope="col">State</th>
          </tr>
        </thead>
        <tbody>
          {model.bars.map((bar) => (
            <tr key={bar.index} data-block-row={bar.index}>
              <td className="mono">{bar.label}</td>
              <td>{bar.group.title}</td>
              <td className={css.number}>{bar.kind === "absent" ? "–" : formatWeight(bar.weight)}</td>
              <td className={css.number}>
                {bar.rawStrength === null || bar.kind === "absent" ? "–" : formatStrength(bar.rawStrength)}
              </td>
              {names.map((name) => (
                <td key={name} className={css.number}>
                  {bar.numbers.find((number) => number.name === name)?.text ?? "–"}
                </td>
              ))}
              <td className={bar.kind === "measured" ? "faint" : undefined}>{STATE[bar.kind]}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
