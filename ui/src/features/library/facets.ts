/** What the server's facets mean to the rail and to the count of results. Pure. */
import type { FacetValue } from "@/api/client";
import { spaced } from "@/lib/format";
import type { LibrarySearch } from "@/lib/librarySearch";

export type Facets = Record<string, FacetValue[]>;

/** Titles of the usual facets, in their order; others follow as the server gives them. */
const TITLES: Record<string, string> = {
  base: "Base",
  category: "Category",
  architecture: "Architecture",
  layout: "Layout",
  adapter: "Adapter",
  role: "Role",
  rank: "Rank",
  tag: "Tags",
};

export interface Choice {
  value: string;
  label: string;
  count: number | null;
}

/** "noise_half" -> "Noise half", where no better title is known. */
export function facetTitle(name: string): string {
  const words = spaced(name);
  return TITLES[name] ?? words.charAt(0).toUpperCase() + words.slice(1);
}

/** The facets with something to choose or something chosen. The state is asked for in its own way. */
export function facetNames(facets: Facets, search: LibrarySearch): string[] {
  const usual = Object.keys(TITLES);
  const all = [...new Set([...usual, ...Object.keys(facets)])];
  return all.filter((name) => {
    if (name === "state") return false;
    return search[name] !== undefined || facets[name]?.some(({ value }) => value !== null);
  });
}

/** What can be chosen of a facet; what is chosen is among it even where no entry is left. */
export function facetChoices(values: readonly FacetValue[], chosen: string | undefined): Choice[] {
  const choices: Choice[] = values.flatMap(({ value, label, count }) =>
    // Entries without a value can be counted but not asked for.
    value === null ? [] : [{ value, label: spaced(label || value), count }],
  );
  if (chosen !== undefined && !choices.some(({ value }) => value === chosen))
    choices.unshift({ value: chosen, label: chosen, count: null });
  return choices;
}

/**
 * How many entries match, exactly, read off the counts: every entry has one base, and facets count under all filters
 * but their own. Null where they do not tell. A search's own total is an estimate where it is large.
 */
export function exactTotal(facets: Facets | undefined, search: LibrarySearch): number | null {
  const bases = facets?.base;
  if (bases === undefined) return null;
  if (search.base !== undefined) return bases.find(({ value }) => value === search.base)?.count ?? null;
  return bases.reduce((sum, { count }) => sum + count, 0);
}
