/** The columns a person chose and their order; kept in the browser. */
import { useState } from "react";
import { COLUMNS, DEFAULT_COLUMNS } from "./columns";

const KEY = "lwb.library.columns";

/** Keys in their order; null: the default ones, as far as there is room. */
export type ChosenColumns = readonly string[] | null;

/** Reads what was stored; columns that are no more are left out, and the name is always among them. */
export function parseColumns(stored: string | null): ChosenColumns {
  if (stored === null || stored === "") return null;
  const known = new Set(COLUMNS.map(({ key }) => key));
  const keys = [...new Set(stored.split(","))].filter((key) => known.has(key));
  return keys.includes("name") ? keys : ["name", ...keys];
}

export function useColumns(): [ChosenColumns, (columns: ChosenColumns) => void] {
  const [columns, setColumns] = useState(() => {
    try {
      return parseColumns(localStorage.getItem(KEY));
    } catch {
      return null; // storage blocked
    }
  });
  const change = (next: ChosenColumns) => {
    setColumns(next);
    try {
      if (next === null) localStorage.removeItem(KEY);
      else localStorage.setItem(KEY, next.join(","));
    } catch {
      // Storage blocked: the choice lasts as long as the page.
    }
  };
  return [columns, change];
}

/** The columns after one was switched on (at its place in the default order) or off. */
export function toggled(columns: ChosenColumns, key: string): readonly string[] {
  const present = columns ?? DEFAULT_COLUMNS;
  if (present.includes(key)) return present.filter((other) => other !== key);
  const place = COLUMNS.findIndex((column) => column.key === key);
  const before = COLUMNS.slice(0, place).map((column) => column.key);
  const at = Math.max(-1, ...before.map((other) => present.indexOf(other))) + 1;
  return [...present.slice(0, at), key, ...present.slice(at)];
}

/** The columns after one moved a place to the left (-1) or right (1); at an end it stays. */
export function moved(columns: ChosenColumns, key: string, step: -1 | 1): readonly string[] {
  const next = [...(columns ?? DEFAULT_COLUMNS)];
  const from = next.indexOf(key);
  const to = from + step;
  if (from < 0 || to < 0 || to >= next.length) return next;
  next.splice(from, 1);
  next.splice(to, 0, key);
  return next;
}
