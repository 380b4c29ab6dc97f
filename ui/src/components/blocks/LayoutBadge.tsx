/** A layout in a few characters: its groups by their abbreviations and sizes, each with its colour. */
import type { Layout } from "@/api/client";
import css from "./blocks.module.css";

export function LayoutBadge({
  layout,
  colourOf,
}: {
  layout: Layout;
  colourOf: (groupKey: string) => string;
}) {
  return (
    <span className={css.badge} title={`${layout.title} (${layout.id})`}>
      {layout.groups.map((group) => (
        <span key={group.key} className={css.badgeGroup}>
          <i className={css.swatch} style={{ background: colourOf(group.key) }} />
          {group.abbreviation}
          <b>{group.count}</b>
        </span>
      ))}
    </span>
  );
}
