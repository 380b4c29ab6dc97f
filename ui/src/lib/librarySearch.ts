/**
 * What the library is asked for, as it stands in the address bar. The LoRA page carries the same parameters, plus the
 * position within them, to step through the list; hence it is shared.
 */
import type { SearchParameters } from "@/api/client";

/** What can always be asked for; the server's `state` facet names the states that entries are in. */
export const STATES = ["present", "any"] as const;

export const SORT_KEYS = [
  "stable_id",
  "filename",
  "base",
  "category",
  "architecture",
  "layout",
  "adapter",
  "role",
  "rank",
  "size",
  "modified",
  "added",
  "strength",
  "blocks",
] as const;
export type SortKey = (typeof SORT_KEYS)[number];
export type Sort = SortKey | `-${SortKey}`;

/** Every further key is the name of a facet, and its value the one the entries must have. */
export interface LibrarySearch {
  q?: string;
  state?: string;
  sort?: Sort;
  [facet: string]: string | undefined;
}

/** A library search and the position (from 0) of one entry in its results. */
export interface PlacedSearch {
  at?: number;
  q?: string;
  state?: string;
  sort?: Sort;
  [facet: string]: string | number | undefined;
}

// The server's own limit on a text parameter.
const MAX_TEXT = 200;

// A facet is asked for by its own name, and which facets there are the server tells. These mean something else.
const FACET_NAME = /^[a-z][a-z_]{0,31}$/;
const NOT_FACETS = new Set(["q", "state", "sort", "at", "search", "limit", "offset", "cursor", "facets"]);

function text(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value.slice(0, MAX_TEXT) : undefined;
}

/** Reads whatever stands in the address bar; what makes no sense is left out, defaults too. */
export function parseLibrarySearch(raw: Record<string, unknown>): LibrarySearch {
  const search: LibrarySearch = {};
  const q = text(raw.q);
  if (q !== undefined) search.q = q;
  for (const name of Object.keys(raw)) {
    const value = text(raw[name]);
    if (value !== undefined && FACET_NAME.test(name) && !NOT_FACETS.has(name)) search[name] = value;
  }
  const state = text(raw.state);
  if (state !== undefined && FACET_NAME.test(state) && state !== "present") search.state = state;
  const key = SORT_KEYS.find((known) => known === raw.sort || `-${known}` === raw.sort);
  if (key !== undefined && raw.sort !== "stable_id") search.sort = raw.sort as Sort;
  return search;
}

export function parsePlacedSearch(raw: Record<string, unknown>): PlacedSearch {
  const at = Number(raw.at);
  const placed: PlacedSearch = parseLibrarySearch(raw);
  if (raw.at !== undefined && raw.at !== "" && Number.isSafeInteger(at) && at >= 0) placed.at = at;
  return placed;
}

/** The search without the position in it. */
export function withoutPlace({ at: _, ...search }: PlacedSearch): LibrarySearch {
  return search as LibrarySearch;
}

/** The server's parameters for a search. */
export function toParameters({ q, ...rest }: LibrarySearch): SearchParameters {
  // Facets are open, the server's parameters are not: it passes over those it does not know.
  return { ...rest, ...(q !== undefined && { search: q }) } as SearchParameters;
}

/** The sort after a click on a column's head: ascending, descending, and back to ascending. */
export function nextSort(current: Sort | undefined, key: SortKey): Sort {
  return (current ?? "stable_id") === key ? `-${key}` : key;
}

/** Plain `key=value` pairs, so that addresses can be read and typed; commas may stand as they are. */
export function stringifySearch(search: Record<string, unknown>): string {
  const pairs = Object.entries(search).filter(([, value]) => value !== undefined && value !== "");
  const parameters = new URLSearchParams(pairs.map(([key, value]) => [key, String(value)]));
  return pairs.length === 0 ? "" : `?${parameters}`.replaceAll("%2C", ",");
}

export function parseSearch(query: string): Record<string, string> {
  return Object.fromEntries(new URLSearchParams(query));
}
