/** The profiles of an entry in the query cache, and the changes to them. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type Profile, type ProfilesAnswer, profilesApi } from "@/api/profiles";

const keyOf = (stableId: string) => ["lora", stableId, "profiles"];

export function useProfiles(stableId: string) {
  return useQuery({
    queryKey: keyOf(stableId),
    queryFn: ({ signal }) => profilesApi.list(stableId, signal),
  });
}

/** One change: a new profile, other values of one that is there, or its end. */
export type Change =
  | { kind: "create"; name: string; weights: number[] }
  | { kind: "change"; id: number; name?: string; weights?: number[] }
  | { kind: "remove"; id: number };

/** Makes changes; gives the profile as saved, null for one removed. The list follows from the server's answer. */
export function useChange(stableId: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: async (change: Change): Promise<{ profile: Profile | null; profiles: Profile[] }> => {
      if (change.kind === "remove") {
        const { profiles } = await profilesApi.remove(stableId, change.id);
        return { profile: null, profiles };
      }
      if (change.kind === "create") {
        const body = { profile_name: change.name, block_weights: change.weights };
        const saved = await profilesApi.create(stableId, body);
        return { profile: saved, profiles: saved.profiles };
      }
      const saved = await profilesApi.change(stableId, change.id, {
        ...(change.name !== undefined && { profile_name: change.name }),
        ...(change.weights !== undefined && { block_weights: change.weights }),
      });
      return { profile: saved, profiles: saved.profiles };
    },
    onSuccess: ({ profiles }) => {
      client.setQueryData<ProfilesAnswer>(keyOf(stableId), (before) => before && { ...before, profiles });
    },
    // Someone else may have deleted or renamed it: show what there is now.
    onError: () => client.invalidateQueries({ queryKey: keyOf(stableId) }),
  });
}
