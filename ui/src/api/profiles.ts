/** The profiles of an entry on the server. */
import { client, unwrap } from "./client";
import type { components } from "./schema.gen";

export type Profile = components["schemas"]["Profile"];
export type ProfilesAnswer = components["schemas"]["ProfilesAnswer"];
type ProfileBody = components["schemas"]["ProfileBody"];
type ProfileChange = components["schemas"]["ProfileChange"];

const PATH = "/api/lora/{stable_id}/profiles";
const ONE = "/api/lora/{stable_id}/profiles/{profile_id}";
const at = (stableId: string) => ({ path: { stable_id: stableId } });
const atOne = (stableId: string, id: number) => ({ path: { stable_id: stableId, profile_id: id } });

export const profilesApi = {
  list: async (stableId: string, signal?: AbortSignal) =>
    unwrap(await client.GET(PATH, { params: at(stableId), ...(signal && { signal }) })),
  create: async (stableId: string, body: ProfileBody) =>
    unwrap(await client.POST(PATH, { params: at(stableId), body })),
  change: async (stableId: string, id: number, body: ProfileChange) =>
    unwrap(await client.PUT(ONE, { params: atOne(stableId, id), body })),
  remove: async (stableId: string, id: number) =>
    unwrap(await client.DELETE(ONE, { params: atOne(stableId, id) })),
};
