/** The rail of filters with their counts. One value a filter; pressing it again lets go. */
import { useState } from "react";
import type { FacetValue } from "@/api/client";
import { useRegistry } from "@/api/registry";
import { formatCount, spaced } from "@/lib/format";
import { FILTERS, type Filter, type LibrarySearch, STATES, type StateFilter } from "@/lib/librarySearch";
import css from "./library.module.css";

const TITLES: Record<Filter, string> = {
  base: "Base",
  category: "Category",
  architecture: "Architecture",
  layout: "Layout",
  adapter: "Adapter",
};
const STATE_WORDS: Record<StateFilter, string> = {
  present: "In place",
  any: "All, missing too",
  fallback: "Unmeasured",
  duplicate: "Copies",
  failed: "Unreadable",
  missing: "Missing",
};
const SHOWN = 8;

interface FiltersProps {
  search: LibrarySearch;
  facets: Record<string, FacetValue[]>;
  onChange: (change: { [Key in keyof LibrarySearch]: string | undefined }) => void;
}

interface Choice {
  value: string;
  label: string;
  count: number | null;
}

export function Filters({ search, facets, onChange }: FiltersProps) {
  const registry = useRegistry();
  const labelOf = (filter: Filter, { value, label }: FacetValue) => {
    if (filter === "layout") return registry.layout(value ?? null)?.title ?? label;
    if (filter === "architecture") return registry.architecture(value)?.name ?? label;
    return spaced(label);
  };
  const counts = new Map(facets.state?.map(({ value, count }) => [value, count]));
  const states = STATES.map((value) => ({
    value,
    label: STATE_WORDS[value],
    count: counts.get(value) ?? null,
  }));
  return (
    <aside className={css.rail} aria-label="Filters">
      {FILTERS.map((filter) => {
        const chosen = search[filter];
        const values = facets[filter] ?? [];
        const choices: Choice[] = values.flatMap((facet) =>
          // Entries without a value can be counted but not asked for.
          facet.value === null
            ? []
            : [{ value: facet.value, label: labelOf(filter, facet), count: facet.count }],
        );
        if (chosen !== undefined && !values.some(({ value }) => value === chosen))
          choices.unshift({ value: chosen, label: chosen, count: null });
        if (choices.length === 0) return null;
        return (
          <FilterGroup
            key={filter}
            title={TITLES[filter]}
            choices={choices}
            chosen={chosen}
            onChoose={(value) => onChange({ [filter]: value === chosen ? undefined : value })}
          />
        );
      })}
      <FilterGroup
        title="State"
        choices={states}
        chosen={search.state ?? "present"}
        onChoose={(value) => onChange({ state: value === "present" ? undefined : value })}
      />
    </aside>
  );
}

interface FilterGroupProps {
  title: string;
  choices: readonly Choice[];
  chosen: string | undefined;
  onChoose: (value: string) => void;
}

function FilterGroup({ title, choices, chosen, onChoose }: FilterGroupProps) {
  const [open, setOpen] = useState(false);
  const shown = open ? choices : choices.filter(({ value }, place) => place < SHOWN || value === chosen);
  const hidden = choices.length - shown.length;
  return (
    <section className={css.filter}>
      <h2>{title}</h2>
      <ul>
        {shown.map(({ value, label, count }) => (
          <li key={value}>
            <button
              type="button"
              aria-pressed={value === chosen}
              onClick={() => onChoose(value)}
              title={label}
            >
              <span>{label}</span>
              {count !== null && <span className={css.count}>{formatCount(count)}</span>}
            </button>
          </li>
        ))}
      </ul>
      {(hidden > 0 || open) && (
        <button type="button" className={css.more} aria-expanded={open} onClick={() => setOpen(!open)}>
          {open ? "fewer" : `${hidden} more`}
        </button>
      )}
    </section>
  );
}
