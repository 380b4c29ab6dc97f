/** The rows of a search, fetched a window at a time as the table scrolls over them. */
import { keepPreviousData, queryOptions, useQueries, useQuery } from "@tanstack/react-query";
import { api, type FacetValue, type LoraRow } from "@/api/client";
import { type LibrarySearch, toParameters } from "@/lib/librarySearch";

export const WINDOW = 100;

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

/** `first` and `last` are the outermost row indices in sight. */
export function useResults(search: LibrarySearch, first: number, last: number): Results {
  const head = useQuery({ ...windowQuery(search, 0), placeholderData: keepPreviousData });
  const windows: number[] = [];
  for (let window = Math.max(1, Math.floor(first / WINDOW)); window <= Math.floor(last / WINDOW); window++)
    windows.push(window);
  const rest = useQueries({
    queries: head.isPlaceholderData ? [] : windows.map((window) => windowQuery(search, window)),
  });

  const failed = [head, ...rest].find((query) => query.isError);
  return {
    total: head.data?.total ?? 0,
    totalIsExact: head.data?.total_is_exact ?? true,
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

/** The filter values within a search and how many entries each would leave; the sort has no part in it. */
export function useFacets({ sort: _, ...filters }: LibrarySearch): Record<string, FacetValue[]> {
  const query = useQuery({
    queryKey: ["search", "facets", filters],
    queryFn: ({ signal }) => api.search({ ...toParameters(filters), limit: 1, facets: "1" }, signal),
    placeholderData: keepPreviousData,
  });
  return query.data?.facets ?? {};
}
