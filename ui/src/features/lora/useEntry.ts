/** One entry with its blocks, and its neighbours in the list it was opened from. */
import { keepPreviousData, queryOptions, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { api } from "@/api/client";
import { type LibrarySearch, type PlacedSearch, toParameters, withoutPlace } from "@/lib/librarySearch";

function entryQuery(stableId: string) {
  return queryOptions({
    queryKey: ["lora", stableId],
    queryFn: async ({ signal }) => {
      const [entry, blocks] = await Promise.all([api.lora(stableId, signal), api.blocks(stableId, signal)]);
      return { entry, blocks };
    },
  });
}

/** Keeps showing the entry before while the next one loads, so that stepping through a list does not blink. */
export function useEntry(stableId: string) {
  return useQuery({ ...entryQuery(stableId), placeholderData: keepPreviousData });
}

export interface Neighbour {
  stableId: string;
  at: number;
}

export interface Neighbours {
  search: LibrarySearch;
  at: number;
  total: number;
  previous: Neighbour | null;
  next: Neighbour | null;
}

/** The entries before and after; null where the page was not opened from a list. They are fetched ahead. */
export function useNeighbours(placed: PlacedSearch): Neighbours | null {
  const { at } = placed;
  const search = withoutPlace(placed);
  const client = useQueryClient();
  const offset = Math.max(0, (at ?? 0) - 1);
  const query = useQuery({
    queryKey: ["search", "around", search, offset],
    queryFn: ({ signal }) => api.search({ ...toParameters(search), limit: 3, offset }, signal),
    enabled: at !== undefined,
    placeholderData: keepPreviousData,
  });
  const rows = query.isPlaceholderData ? undefined : query.data?.results;
  const find = (wanted: number): Neighbour | null => {
    const row = wanted < 0 ? undefined : rows?.[wanted - offset];
    return row === undefined ? null : { stableId: row.stable_id, at: wanted };
  };
  const previous = at === undefined ? null : find(at - 1);
  const next = at === undefined ? null : find(at + 1);

  const ahead = [next?.stableId, previous?.stableId].filter((id) => id !== undefined).join(" ");
  useEffect(() => {
    for (const id of ahead.split(" ").filter(Boolean)) void client.prefetchQuery(entryQuery(id));
  }, [ahead, client]);

  if (at === undefined) return null;
  return { search, at, total: query.data?.total ?? 0, previous, next };
}
