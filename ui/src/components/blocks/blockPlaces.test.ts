import { expect, it } from "vitest";
import { blockPlaces } from "./blockPlaces";

it("puts groups side by side with a gap, and does not spread few blocks out", () => {
  const groups = [
    { start: 0, count: 2 },
    { start: 2, count: 1 },
  ];
  expect(blockPlaces(groups, 3, 1000)).toEqual({ x: [34, 82, 152], step: 48, bar: 45, gap: 3, right: 200 });
});
