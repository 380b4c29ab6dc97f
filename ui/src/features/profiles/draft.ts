/** A profile being edited, and how far it is from what is saved. Pure. */
import type { Profile } from "@/api/profiles";
import { freeName, neutral, sameWeights } from "./profileModel";

export interface Draft {
  /** The saved profile that this edits; null for one not saved yet. */
  id: number | null;
  name: string;
  weights: readonly number[];
  /** What Reset goes back to. */
  start: { name: string; weights: readonly number[] };
}

export function draftOf({ id, profile_name: name, block_weights: weights }: Profile): Draft {
  return { id, name, weights, start: { name, weights } };
}

export function newDraft(count: number, taken: readonly string[]): Draft {
  const start = { name: freeName("New profile", taken), weights: neutral(count) };
  return { id: null, ...start, start };
}

export function hasOtherWeights(draft: Draft): boolean {
  return !sameWeights(draft.weights, draft.start.weights);
}

/** Whether leaving would lose something. */
export function isChanged(draft: Draft | null): boolean {
  return draft !== null && (hasOtherWeights(draft) || draft.name.trim() !== draft.start.name);
}

/** The name for "save as new": the one typed, or a free one where it was not changed. */
export function nameForCopy(draft: Draft, taken: readonly string[]): string {
  const typed = draft.name.trim();
  return typed !== draft.start.name ? typed : freeName(`${typed} copy`, taken);
}
