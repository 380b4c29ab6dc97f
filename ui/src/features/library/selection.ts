/** Which entries are selected, by id, in the order they were chosen. Kept for the life of the page, over searches. */
import { useSyncExternalStore } from "react";

export type Selection = ReadonlySet<string>;

let selected: Selection = new Set();
const listeners = new Set<() => void>();

function replace(next: Selection): void {
  selected = next;
  for (const listener of listeners) listener();
}

export function toggleSelected(id: string): void {
  const next = new Set(selected);
  if (!next.delete(id)) next.add(id);
  replace(next);
}

export function addSelected(ids: Iterable<string>): void {
  replace(new Set([...selected, ...ids]));
}

export function clearSelection(): void {
  if (selected.size > 0) replace(new Set());
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function useSelection(): Selection {
  return useSyncExternalStore(subscribe, () => selected);
}
