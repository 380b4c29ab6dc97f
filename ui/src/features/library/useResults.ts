/** The rows of a search, fetched a window at a time as the table scrolls over them. */
import { keepPreviousData, queryOptions, useQueries, useQuery } from "@tanstack/react-query";
import { api, type LoraRow } from "@/api/client";
import { type LibrarySearch, toParameters } from "@/lib/librarySearch";
import { exactTotal, type Facets } from "./facets";

export const WINDOW = 100;
/** Rows before and after those in sight whose windows are fetched, too. */
const AHEAD = 150;

function windowQuery(search: LibrarySearch, window: number) {
  return queryOptions({
    queryKey: ["search", search, window],
    queryFn: ({ signal }) =>
      api.search({ ...toParameters(search), limit: WINDOW, offset: window * WINDOW }, signal),
  });
}

export interface Results {
  total: number;
  totalIsExact: boolean;
  row: (index: number) => LoraRow | undefined;
  /** No answer yet, not even an older one. */
  isLoading: boolean;
  /** The rows are those of the search before. */
  isStale: boolean;
  error: Error | null;
  retry: () => void;
}

/** The windows other than the first that rows `first` to `last` lie in or near to. */
export function windowsOf(first: number, last: number, total: number): number[] {
  const from = Math.max(1, Math.floor((first - AHEAD) / WINDOW));
  const to = Math.floor(Math.min(last + AHEAD, total - 1) / WINDOW);
  return Array.from({ length: Math.max(0, to - from + 1) }, (_, place) => from + place);
}

/** `first` and `last` are the outermost row indices in sight. `counted` are the facets of the same search, if known. */
export function useResults(
  search: LibrarySearch,
  first: number,
  last: number,
  counted: Facets | undefined,
): Results {
  const head = useQuery({ ...windowQuery(search, 0), placeholderData: keepPreviousData });
  // An estimate would leave rows at the end that do not exist, or hide some that do.
  const exact =
    head.data?.total_is_exact === false && !head.isPlaceholderData ? exactTotal(counted, search) : null;
  const total = exact ?? head.data?.total ?? 0;
  const windows = head.isPlaceholderData ? [] : windowsOf(first, last, total);
  const rest = useQueries({ queries: windows.map((window) => windowQuery(search, window)) });

  const failed = [head, ...rest].find((query) => query.isError);
  return {
    total,
    totalIsExact: exact !== null || (head.data?.total_is_exact ?? true),
    row: (index) => {
      const window = Math.floor(index / WINDOW);
      const answer = window === 0 ? head.data : rest[windows.indexOf(window)]?.data;
      return answer?.results[index - window * WINDOW];
    },
    isLoading: head.isPending,
    isStale: head.isPlaceholderData,
    error: failed?.error ?? null,
    retry: () => void failed?.refetch(),
  };
}

export interface FacetCounts {
  /** Undefined before the first answer; those of the search before while the next are on their way. */
  facets: Facets | undefined;
  isStale: boolean;
}

/** The filter values within a search and how many entries each would leave; the sort has no part in it. */
export function useFacets({ sort: _, ...filters }: LibrarySearch): FacetCounts {
  const query = useQuery({
    queryKey: ["search", "facets", filters],
    queryFn: ({ signal }) => api.search({ ...toParameters(filters), limit: 1, facets: "1" }, signal),
    placeholderData: keepPreviousData,
  });
  const known = query.data?.facets ?? undefined;
  // Without counts the states can still be chosen.
  return { facets: known ?? (query.isError ? {} : undefined), isStale: query.isPlaceholderData };
}
