import { describe, expect, it } from "vitest";
import { someBlocks, TWO_STACKS } from "@/testing/fixtures";
import { chartModel, describeBar } from "./chartModel";

const { blocks } = someBlocks();

describe("chartModel", () => {
  it("has a bar for every block of the layout, in its order", () => {
    const model = chartModel(TWO_STACKS, [...blocks].reverse(), false);
    expect(model.bars.map(({ label }) => label)).toEqual(["U00", "U01", "L00", "L01", "L02"]);
  });

  it("tells measured from absent", () => {
    const model = chartModel(TWO_STACKS, blocks, false);
    expect(model.bars.map(({ kind }) => kind)).toEqual([
      "measured",
      "measured",
      "measured",
      "absent",
      "measured",
    ]);
    expect([model.measured, model.absent, model.peak?.label]).toEqual([4, 1, "U01"]);
  });

  it("counts a block that the answer leaves out as absent", () => {
    expect(chartModel(TWO_STACKS, blocks.slice(0, 2), false).absent).toBe(3);
  });

  it("calls nothing of a fallback measured", () => {
    const neutral = blocks.map((block) => ({ ...block, weight: 1, raw_strength: null, present: true }));
    const model = chartModel(TWO_STACKS, neutral, true);
    expect([model.measured, model.absent, model.peak]).toEqual([0, 0, null]);
    expect(model.bars.every(({ kind }) => kind === "unmeasured")).toBe(true);
  });

  it("has no peak where all measured strengths are zero", () => {
    const zero = blocks.map((block) => ({ ...block, weight: 0, raw_strength: 0 }));
    expect(chartModel(TWO_STACKS, zero, false).peak).toBeNull();
  });
});

describe("describeBar", () => {
  const bar = (index: number) => {
    const found = chartModel(TWO_STACKS, blocks, false).bars[index];
    if (found === undefined) throw new Error(`no bar ${index}`);
    return found;
  };
  it("says strength and numbers of a measured block", () => {
    expect(describeBar(bar(0))).toBe(
      "U00, upper blocks 1 of 2: weight 0.500, raw strength 1, rank 16, RMS change 2.00e-4, stable rank 2.25, rank for 95 % 9",
    );
  });
  it("says no number that is not known", () => {
    const [first] = blocks.map((block) => ({
      ...block,
      stable_rank: null,
      energy_rank: null,
      rms_change: null,
    }));
    const known = chartModel(TWO_STACKS, first ? [first] : [], false).bars[0];
    expect(known?.numbers).toEqual([{ name: "rank", text: "16" }]);
  });
  it("says that the file has nothing for a block", () => {
    expect(describeBar(bar(3))).toBe("L01, lower blocks 2 of 3: not in this file");
  });
});
