import { describe, expect, it } from "vitest";
import { barPositions, runPath, strengthStep } from "./sparkline";

describe("barPositions", () => {
  it("fills the width, with a gap between runs", () => {
    const runs = [
      { start: 0, count: 2 },
      { start: 2, count: 2 },
    ];
    expect(barPositions(runs, 46, 6)).toEqual({ x: [0, 10, 26, 36], step: 10 });
  });

  it("has nothing to place without runs", () => {
    expect(barPositions([], 100)).toEqual({ x: [], step: 0 });
  });
});

describe("runPath", () => {
  const run = { start: 0, count: 2 };
  const positions = barPositions([run], 20);

  it("draws one bar a weight, from the lower edge up", () => {
    expect(runPath([1, 0.5], run, positions, 10)).toBe("M0 10v-10h9v10zM10 10v-5h9v5z");
  });

  it("keeps a measured zero visible, and a weight above one inside", () => {
    expect(runPath([0, 7], run, positions, 10)).toBe("M0 10v-0.6h9v0.6zM10 10v-10h9v10z");
  });

  it("leaves out bars without a weight", () => {
    expect(runPath([1], run, positions, 10)).toBe("M0 10v-10h9v10z");
  });
});

it("puts weights on nine even steps", () => {
  expect([0, 0.06, 0.07, 0.5, 1, 2, -1].map(strengthStep)).toEqual([0, 0, 1, 4, 8, 8, 0]);
});
