/** The index job as it goes: server-sent events while they come through, else asking every few seconds. */
import { type QueryClient, queryOptions, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { api, type IndexStatus } from "./client";

export const INDEX_EVENTS_PATH = "/api/lora/index_events";
const POLL_MS = 2500;

export const indexStatusQuery = queryOptions({
  queryKey: ["index_status"],
  queryFn: ({ signal }) => api.indexStatus(signal),
  staleTime: POLL_MS,
});

/** The last known status; whoever shows it need not know how it arrives. */
export function useIndexStatus() {
  return useQuery(indexStatusQuery);
}

function take(client: QueryClient, status: IndexStatus): void {
  const before = client.getQueryData(indexStatusQuery.queryKey);
  client.setQueryData(indexStatusQuery.queryKey, status);
  const changed = before !== undefined && before.last_scan !== status.last_scan;
  if (changed || (before?.indexing && !status.indexing)) refreshEntries(client);
}

function refreshEntries(client: QueryClient): void {
  void client.invalidateQueries({ queryKey: ["search"] });
  void client.invalidateQueries({ queryKey: ["lora"] });
}

/** Keeps the status fresh. Mounted once, by the frame around all pages. */
export function useIndexEvents(): void {
  const client = useQueryClient();
  const [live, setLive] = useState(false);

  useEffect(() => {
    if (typeof EventSource === "undefined") return;
    const source = new EventSource(INDEX_EVENTS_PATH);
    const receive = (event: MessageEvent<string>) => {
      setLive(true);
      take(client, JSON.parse(event.data) as IndexStatus);
    };
    source.addEventListener("message", receive);
    // The browser reconnects by itself after a break, and gives up after a refusal; both mean: ask meanwhile.
    source.addEventListener("error", () => setLive(false));
    return () => source.close();
  }, [client]);

  useEffect(() => {
    if (live) return;
    const ask = async () => {
      try {
        take(client, await api.indexStatus());
      } catch {
        // The server is away; useIndexStatus shows what its own request found, and the next turn asks again.
      }
    };
    const timer = setInterval(ask, POLL_MS);
    return () => clearInterval(timer);
  }, [live, client]);
}
