/** The registry as the server tells it: layouts, architectures and the colour of each block group. */
import { queryOptions, useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { assignGroupColours } from "@/lib/groupColours";
import { type Architecture, api, type Layout } from "./client";

// A server's registry does not change while it runs.
const FOREVER = { staleTime: Number.POSITIVE_INFINITY, gcTime: Number.POSITIVE_INFINITY };

export const layoutsQuery = queryOptions({
  queryKey: ["layouts"],
  queryFn: ({ signal }) => api.layouts(signal),
  ...FOREVER,
});

export const architecturesQuery = queryOptions({
  queryKey: ["architectures"],
  queryFn: ({ signal }) => api.architectures(signal),
  ...FOREVER,
});

export interface Registry {
  layout: (id: string | null) => Layout | undefined;
  architecture: (id: string | null) => Architecture | undefined;
  /** CSS custom property with the colour of a block group. */
  colourOf: (groupKey: string | null) => string;
}

/** Look-ups by id; before the registry has arrived they find nothing and colours are the first one. */
export function useRegistry(): Registry {
  const layouts = useQuery(layoutsQuery).data;
  const architectures = useQuery(architecturesQuery).data;
  return useMemo(() => {
    const byId = new Map(layouts?.map((layout) => [layout.id, layout]));
    const archById = new Map(architectures?.map((architecture) => [architecture.id, architecture]));
    const colours = assignGroupColours(layouts ?? []);
    return {
      layout: (id) => (id === null ? undefined : byId.get(id)),
      architecture: (id) => (id === null ? undefined : archById.get(id)),
      colourOf: (key) => `var(--group-${colours.get(key ?? "") ?? 0})`,
    };
  }, [layouts, architectures]);
}
