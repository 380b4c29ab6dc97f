import { describe, expect, it } from "vitest";
import { aComparison } from "@/testing/compareFixtures";
import { cellText, compareModel, describeRow, formatDifference, runsOf } from "./compareModel";

describe("compareModel", () => {
  it("keeps each LoRA's letter when one before it is left out", () => {
    const model = compareModel(aComparison(), "weight", undefined);
    expect(model.series.map(({ letter, name }) => `${letter} ${name}`)).toEqual(["A coat", "C ink"]);
  });

  it("overlays from zero to the largest value", () => {
    const model = compareModel(aComparison(), "raw", undefined);
    expect([model.low, model.high, model.reference]).toEqual([0, 4, null]);
  });

  it("counts as zero in a difference what a file leaves out", () => {
    const model = compareModel(aComparison(), "raw", "IMG-CLT-001");
    expect(model.rows.map(({ cells }) => cells[1]?.difference)).toEqual([-1, -2, 3.5, 1]);
    expect(model.rows.every(({ cells }) => cells[0]?.difference === 0)).toBe(true);
    expect([model.low, model.high]).toEqual([-3.5, 3.5]);
  });

  it("overlays where the reference is not compared", () => {
    expect(compareModel(aComparison(), "raw", "OTH-STL-001").reference).toBeNull();
  });

  it("makes no difference of what is not known", () => {
    const model = compareModel(aComparison(), "rms", "IMG-CLT-001");
    expect(model.rows.map(({ cells }) => cells[1]?.difference)).toEqual([-0.0001, -0.0002, null, 0.0001]);
  });
});

it("says every LoRA's value of a block, and why one has none", () => {
  const overlaid = compareModel(aComparison(), "weight", undefined);
  expect(overlaid.rows.map((row) => describeRow(row, overlaid))).toEqual([
    "U00, upper blocks 1 of 2: A 0.500, C not in its layout",
    "U01, upper blocks 2 of 2: A 1.000, C not in its layout",
    "L00, lower blocks 1 of 2: A 0.250, C 1.000",
    "L01, lower blocks 2 of 2: A not in this file, C 0.250",
  ]);
  const apart = compareModel(aComparison(), "weight", "IMG-STL-001");
  expect(apart.rows[2] && describeRow(apart.rows[2], apart)).toBe(
    "L00, lower blocks 1 of 2: A 0.250 (−0.750 against C), C 1.000",
  );
});

it("draws no line across a gap or the edge of a group", () => {
  const model = compareModel(aComparison(), "weight", undefined);
  const [coat, ink] = model.series.map((series) =>
    runsOf(model, series).map((run) => run.map(({ index }) => index)),
  );
  expect(coat).toEqual([[0, 1], [2]]);
  expect(ink).toEqual([[2, 3]]);
});

it("writes differences with their sign, in the measure's own digits", () => {
  expect(formatDifference(-0.25, "weight")).toBe("−0.250");
  expect(formatDifference(0.00018, "rms")).toBe("+1.80e-4");
  expect(formatDifference(0, "raw")).toBe("0");
});

it("says not known where a measured block lacks the number", () => {
  const model = compareModel(aComparison(), "rms", undefined);
  const cell = model.rows[2]?.cells[1];
  expect(cell && cellText(cell, "rms")).toBe("not known");
});
