import { describe, expect, it } from "vitest";
import {
  nextSort,
  parseLibrarySearch,
  parsePlacedSearch,
  parseSearch,
  stringifySearch,
  toParameters,
} from "./librarySearch";

describe("the address bar", () => {
  it("survives a round trip, characters with a meaning of their own included", () => {
    const search = { q: "100% wool & more=?", base: "FLX", sort: "-size" as const };
    expect(parseLibrarySearch(parseSearch(stringifySearch(search)))).toEqual(search);
  });

  it("reads digits as text", () => {
    expect(parseLibrarySearch(parseSearch("?q=123"))).toEqual({ q: "123" });
  });

  it("leaves out what makes no sense, and defaults", () => {
    expect(
      parseLibrarySearch({
        q: "",
        state: "present",
        sort: "stable_id",
        base: 7,
        "No Facet": "red",
        offset: "9",
      }),
    ).toEqual({});
    expect(parseLibrarySearch({ state: "no such state", sort: "--size" })).toEqual({});
  });

  it("keeps every facet the server may count, by its own name", () => {
    expect(parseLibrarySearch({ role: "style", tag: "wool" })).toEqual({ role: "style", tag: "wool" });
  });

  it("cuts a text to what the server takes", () => {
    expect(parseLibrarySearch({ q: "x".repeat(500) }).q).toHaveLength(200);
  });

  it("keeps a position only if it is a whole number from 0", () => {
    expect(parsePlacedSearch({ at: "12" })).toEqual({ at: 12 });
    for (const at of ["-1", "1.5", "x", ""]) expect(parsePlacedSearch({ at })).toEqual({});
  });
});

it("asks the server under its own names", () => {
  expect(toParameters({ q: "coat", base: "FLX", state: "any" })).toEqual({
    search: "coat",
    base: "FLX",
    state: "any",
  });
});

it("turns the sort over when the same head is pressed again", () => {
  expect(nextSort(undefined, "stable_id")).toBe("-stable_id");
  expect(nextSort("size", "size")).toBe("-size");
  expect(nextSort("-size", "size")).toBe("size");
  expect(nextSort("-size", "rank")).toBe("rank");
});
