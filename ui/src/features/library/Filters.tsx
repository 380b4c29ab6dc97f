/**
 * The rail of filters with their counts: whatever facets the server counts, each asked for by its own name. One value a
 * filter; pressing it again lets go.
 */
import { useState } from "react";
import type { FacetValue } from "@/api/client";
import { Bone } from "@/components/ui";
import { formatCount } from "@/lib/format";
import { type LibrarySearch, STATES } from "@/lib/librarySearch";
import { type Choice, facetChoices, facetNames, facetTitle } from "./facets";
import css from "./library.module.css";

/** Words for the states that the server counts; one without is called as the server calls it. */
const STATE_WORDS: Record<string, string> = {
  present: "In place",
  any: "All, missing too",
  ok: "Nothing to say",
  pending: "Not read yet",
  fallback: "Unmeasured",
  unreadable: "Unreadable",
  contradiction: "Contradictions",
  duplicate: "Copies",
  missing: "Missing",
};
const SHOWN = 8;
const BONES = [5, 8, 6];

interface FiltersProps {
  search: LibrarySearch;
  /** Undefined before the first answer. */
  facets: Record<string, FacetValue[]> | undefined;
  onChange: (change: Record<string, string | undefined>) => void;
}

export function Filters({ search, facets, onChange }: FiltersProps) {
  if (facets === undefined) return <FilterBones />;
  return (
    <aside className={css.rail} aria-label="Filters">
      {facetNames(facets, search).map((name) => (
        <FilterGroup
          key={name}
          title={facetTitle(name)}
          choices={facetChoices(facets[name] ?? [], search[name])}
          chosen={search[name]}
          onChoose={(value) => onChange({ [name]: value === search[name] ? undefined : value })}
        />
      ))}
      <FilterGroup
        title="State"
        choices={stateChoices(facets.state, search.state)}
        chosen={search.state ?? "present"}
        onChoose={(value) => onChange({ state: value === "present" ? undefined : value })}
      />
    </aside>
  );
}

/** What can always be asked for, then the states that the server counts, and the one that is asked for. */
function stateChoices(counted: FacetValue[] = [], chosen: string | undefined): Choice[] {
  const always: readonly string[] = STATES;
  const named = facetChoices(counted, chosen !== undefined && always.includes(chosen) ? undefined : chosen);
  return [
    ...always.map((value) => ({ value, label: STATE_WORDS[value] ?? value, count: null })),
    ...named.map((choice) => ({ ...choice, label: STATE_WORDS[choice.value] ?? choice.label })),
  ];
}

/** Stands in the rail's place until the counts are there, so that no filter moves under the pointer. */
function FilterBones() {
  return (
    <aside className={css.rail} aria-label="Filters" aria-busy="true">
      {BONES.map((lines) => (
        <div key={lines} className={css.filter}>
          {Array.from({ length: lines }, (_, line) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: bars without content
            <p key={line} className={css.filterBone}>
              <Bone width={`${44 + ((line * 37) % 40)}%`} />
            </p>
          ))}
        </div>
      ))}
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
