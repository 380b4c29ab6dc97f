/** Which LoRAs stand beside each other, and how, as it stands in the address bar; pages that lead there share it. */

/** As many as the server compares at once. */
export const MAX_COMPARED = 6;

export const MEASURES = ["weight", "raw", "rms"] as const;
export type Measure = (typeof MEASURES)[number];

export interface CompareSearch {
  /** Stable ids with commas between them. */
  ids?: string;
  measure?: Measure;
  /** The id that the others are held against; without it they are overlaid. */
  against?: string;
  /** "table" shows the numbers instead of the chart. */
  view?: "table";
}

/** Reads whatever stands in the address bar; what makes no sense is left out, defaults too. */
export function parseCompareSearch(raw: Record<string, unknown>): CompareSearch {
  const search: CompareSearch = {};
  const ids = idsOf(typeof raw.ids === "string" ? raw.ids : "");
  if (ids.length > 0) search.ids = ids.join(",");
  const measure = MEASURES.find((known) => known === raw.measure);
  if (measure !== undefined && measure !== "weight") search.measure = measure;
  if (typeof raw.against === "string" && ids.includes(raw.against)) search.against = raw.against;
  if (raw.view === "table") search.view = "table";
  return search;
}

/** The ids in a text, each once, at most as many as can be compared. */
export function idsOf(text: string | undefined): string[] {
  const ids = (text ?? "").split(/[\s,]+/).filter((id) => id !== "" && id.length <= 128);
  return [...new Set(ids)].slice(0, MAX_COMPARED);
}
