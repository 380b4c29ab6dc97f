import { describe, expect, it } from "vitest";
import { exactTotal, facetChoices, facetNames, facetTitle } from "./facets";
import { windowsOf } from "./useResults";

const count = (value: string | null, n: number) => ({ value, label: value ?? "", count: n });

describe("the rail", () => {
  it("shows facets it has never heard of after the usual ones, and the state in its own place", () => {
    const facets = { noise_half: [count("high", 2)], state: [count("missing", 1)], base: [count("IMG", 3)] };
    expect(facetNames(facets, {})).toEqual(["base", "noise_half"]);
    expect(facetTitle("noise_half")).toBe("Noise half");
  });

  it("leaves out a facet that holds nothing to choose, unless something is chosen", () => {
    expect(facetNames({ rank: [count(null, 4)] }, {})).toEqual([]);
    expect(facetNames({ rank: [] }, { rank: "16" })).toEqual(["rank"]);
    expect(facetChoices([], "16")).toEqual([{ value: "16", label: "16", count: null }]);
  });
});

describe("the exact total", () => {
  const facets = { base: [count("IMG", 30_000), count("OTH", 12_345)] };
  it("is the sum over all bases, or the count of the one chosen", () => {
    expect(exactTotal(facets, {})).toBe(42_345);
    expect(exactTotal(facets, { base: "OTH" })).toBe(12_345);
  });
  it("is not known before the counts are", () => {
    expect(exactTotal(undefined, {})).toBeNull();
    expect(exactTotal(facets, { base: "NEW" })).toBeNull();
  });
});

it("fetches the windows in sight and the near ones, never past the end", () => {
  expect(windowsOf(0, 25, 80)).toEqual([]);
  expect(windowsOf(0, 25, 100_000)).toEqual([1]);
  expect(windowsOf(450, 480, 100_000)).toEqual([3, 4, 5, 6]);
  expect(windowsOf(450, 480, 481)).toEqual([3, 4]);
});
