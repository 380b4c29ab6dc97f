/** The one way to the server: a typed client, and errors that carry the server's own sentence. */
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.gen";

type Schemas = components["schemas"];
export type LoraRow = Schemas["LoraRow"];
export type LoraDetail = Schemas["LoraDetail"];
export type BlocksAnswer = Schemas["BlocksAnswer"];
export type Block = Schemas["Block"];
export type EnergyRank = Schemas["EnergyRank"];
export type Layout = Schemas["Layout"];
export type LayoutGroup = Schemas["LayoutGroup"];
export type SearchAnswer = Schemas["SearchAnswer"];
export type FacetValue = Schemas["FacetValue"];
export type IndexStatus = Schemas["IndexStatus"];
export type ModelFamily = Schemas["ModelFamily"];
export type Architecture = Schemas["Architecture"];
export type CompareAnswer = Schemas["CompareAnswer"];
export type ComparedEntry = Schemas["ComparedEntry"];
export type ComparedValue = Schemas["ComparedValue"];
export type Check = Schemas["Check"];
export type ChecksAnswer = Schemas["ChecksAnswer"];
export type DuplicateGroup = Schemas["DuplicateGroup"];
export type ContradictionsAnswer = Schemas["ContradictionsAnswer"];
type ErrorBody = Schemas["ErrorBody"];

/** A refusal of the server. `message` is its sentence, meant for people; `code` its machine name. */
export class ApiError extends Error {
  constructor(
    message: string,
    readonly status: number,
    readonly code: string,
  ) {
    super(message);
    this.name = "ApiError";
  }
}

// The client would keep the fetch it finds when created; looked up each time, tests can put theirs in its place.
export const client = createClient<paths>({
  baseUrl: globalThis.location.origin,
  fetch: (request) => globalThis.fetch(request),
});

interface Outcome<T> {
  data?: T | undefined;
  error?: unknown;
  response: Response;
}

export function unwrap<T>({ data, error, response }: Outcome<T>): T {
  if (data !== undefined) return data;
  const body = error as Partial<ErrorBody> | undefined;
  const detail =
    typeof body?.detail === "string"
      ? body.detail
      : `The server answered ${response.status} without a reason.`;
  throw new ApiError(detail, response.status, body?.code ?? "unknown");
}

export type SearchParameters = NonNullable<paths["/api/lora/search"]["get"]["parameters"]["query"]>;

export const api = {
  search: async (query: SearchParameters, signal?: AbortSignal) =>
    unwrap(await client.GET("/api/lora/search", { params: { query }, ...(signal && { signal }) })),
  lora: async (stableId: string, signal?: AbortSignal) =>
    // The client's types turn pairs into plain arrays; the schema's are right.
    unwrap(
      await client.GET("/api/lora/{stable_id}", {
        params: { path: { stable_id: stableId } },
        ...(signal && { signal }),
      }),
    ) as LoraDetail,
  blocks: async (stableId: string, signal?: AbortSignal) =>
    unwrap(
      await client.GET("/api/lora/{stable_id}/blocks", {
        params: { path: { stable_id: stableId } },
        ...(signal && { signal }),
      }),
    ),
  compare: async (ids: string[], signal?: AbortSignal) =>
    unwrap(await client.GET("/api/compare", { params: { query: { ids } }, ...(signal && { signal }) })),
  checks: async (signal?: AbortSignal) =>
    unwrap(await client.GET("/api/checks", { ...(signal && { signal }) })),
  duplicates: async (offset: number, signal?: AbortSignal) =>
    unwrap(
      await client.GET("/api/checks/duplicates", {
        params: { query: { offset } },
        ...(signal && { signal }),
      }),
    ),
  contradictions: async (offset: number, signal?: AbortSignal) =>
    unwrap(
      await client.GET("/api/checks/contradictions", {
        params: { query: { offset } },
        ...(signal && { signal }),
      }),
    ),
  forget: async (stableId: string) =>
    unwrap(await client.POST("/api/lora/{stable_id}/forget", { params: { path: { stable_id: stableId } } })),
  reindexOne: async (stableId: string) =>
    unwrap(
      await client.POST("/api/lora/reindex_one/{stable_id}", { params: { path: { stable_id: stableId } } }),
    ),
  layouts: async (signal?: AbortSignal) =>
    unwrap(await client.GET("/api/layouts", { ...(signal && { signal }) })).layouts,
  architectures: async (signal?: AbortSignal) =>
    unwrap(await client.GET("/api/architectures", { ...(signal && { signal }) })).architectures,
  indexStatus: async (signal?: AbortSignal) =>
    unwrap(await client.GET("/api/lora/index_status", { ...(signal && { signal }) })),
  reindexAll: async (full: boolean) =>
    unwrap(await client.POST("/api/lora/reindex_all", { params: { query: { wait: false, full } } })),
  stopIndexing: async () => unwrap(await client.POST("/api/lora/index_stop")),
};
