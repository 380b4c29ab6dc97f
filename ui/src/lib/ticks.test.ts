import { expect, it } from "vitest";
import { labelEvery, niceTicks } from "./ticks";

it("puts round ticks up to the largest value", () => {
  expect(niceTicks(0.0431, 5)).toEqual([0, 0.01, 0.02, 0.03, 0.04]);
  expect(niceTicks(2, 5)).toEqual([0, 0.5, 1, 1.5, 2]);
  expect(niceTicks(0, 5)).toEqual([0]);
  expect(niceTicks(Number.NaN, 5)).toEqual([0]);
});

it("labels only as many blocks as there is room for", () => {
  expect(labelEvery(40, 22)).toBe(1);
  expect(labelEvery(20, 22)).toBe(2);
  expect(labelEvery(1, 22)).toBe(12);
});
