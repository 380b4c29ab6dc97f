import { describe, expect, it } from "vitest";
import { someBlocks, TWO_STACKS } from "@/testing/fixtures";
import {
  afterKey,
  followShape,
  formatMultiplier,
  freeName,
  limited,
  listText,
  measuredShape,
  presets,
  readList,
  readNumber,
  spanOf,
  ticksOf,
  valueAt,
  withGroup,
  withRange,
} from "./profileModel";

const LIMITS = { lowest: -10, highest: 10 };
const [UPPER] = TWO_STACKS.groups;

describe("presets", () => {
  const made = (id: string, weights: number[]) =>
    presets(TWO_STACKS.groups, LIMITS)
      .find((preset) => preset.id === id)
      ?.make(weights);

  it("offers one for each group of the layout, by its title", () => {
    const titles = presets(TWO_STACKS.groups, LIMITS).map(({ title }) => title);
    expect(titles).toContain("Only upper blocks");
    expect(titles).toContain("Only lower blocks");
    expect(made("only-lower", [1, 1, 1, 1, 1])).toEqual([0, 0, 1, 1, 1]);
  });

  it("knows all, none, the first half and a ramp", () => {
    const five = [0.3, 0.3, 0.3, 0.3, 0.3];
    expect(made("all", five)).toEqual([1, 1, 1, 1, 1]);
    expect(made("none", five)).toEqual([0, 0, 0, 0, 0]);
    expect(made("first-half", five)).toEqual([1, 1, 1, 0, 0]);
    expect(made("ramp", five)).toEqual([0, 0.25, 0.5, 0.75, 1]);
  });

  it("inverts to 1 − w, and twice is as before", () => {
    const once = made("invert", [0, 1, 0.25, 2, -0.5]);
    expect(once).toEqual([1, 0, 0.75, -1, 1.5]);
    expect(made("invert", once ?? [])).toEqual([0, 1, 0.25, 2, -0.5]);
  });

  it("leaves out the groups where there is but one", () => {
    const one = presets(TWO_STACKS.groups.slice(0, 1), LIMITS);
    expect(one.map(({ id }) => id)).toEqual(["all", "none", "first-half", "ramp", "invert"]);
  });
});

describe("the measured shape", () => {
  it("is followed where there is one; a block not in the file stays neutral", () => {
    const shape = measuredShape(5, someBlocks().blocks, false);
    expect(shape).toEqual([0.5, 1, 0.25, null, 0.75]);
    expect(followShape(shape, LIMITS)).toEqual([0.5, 1, 0.25, 1, 0.75]);
  });

  it("does not exist for a fallback", () => {
    expect(measuredShape(5, someBlocks().blocks, true)).toEqual([null, null, null, null, null]);
  });
});

describe("typing", () => {
  it("reads a list with commas, semicolons or spaces", () => {
    expect(readList("1, 0.5; .25\n-1 2e0", 5, LIMITS)).toEqual({ value: [1, 0.5, 0.25, -1, 2] });
  });

  it("says what is wrong with a list", () => {
    expect(readList("1, 2", 5, LIMITS)).toEqual({
      problem: "There are 2 numbers; this layout takes 5, one a block.",
    });
    expect(readList("1, nan, 1, 1, 1", 5, LIMITS)).toEqual({ problem: "Entry 2, “nan”, is not a number." });
    expect(readList("1, 11, 1, 1, 1", 5, LIMITS)).toEqual({ problem: "Entry 2, 11, is not from -10 to 10." });
  });

  it("reads one number, a decimal comma too", () => {
    expect(readNumber(" 0,75 ", LIMITS)).toEqual({ value: 0.75 });
    expect(readNumber("-10.5", LIMITS)).toEqual({ problem: "From -10 to 10." });
    expect(readNumber("", LIMITS)).toEqual({ problem: "Type a number." });
    expect(readNumber("Infinity", LIMITS)).toEqual({ problem: "Type a number." });
  });

  it("writes numbers as loaders do", () => {
    expect(listText([1, 0, 0.25, -1, 0.3333])).toBe("1.0, 0.0, 0.25, -1.0, 0.333");
    expect(formatMultiplier(-0)).toBe("0.0");
  });
});

describe("keys and dragging", () => {
  it("steps by 0.05, with Shift by 0.25, and stays within the limits", () => {
    expect(afterKey("ArrowUp", false, 1, LIMITS)).toBe(1.05);
    expect(afterKey("ArrowDown", true, 1, LIMITS)).toBe(0.75);
    expect(afterKey("ArrowUp", true, 9.9, LIMITS)).toBe(10);
    expect(afterKey("0", false, 0.4, LIMITS)).toBe(0);
    expect(afterKey("1", false, 0.4, LIMITS)).toBe(1);
    expect(afterKey("ArrowRight", false, 1, LIMITS)).toBeNull();
  });

  it("catches on neutral and zero, and is exact to 0.01 elsewhere", () => {
    const span = { low: 0, high: 2 };
    expect(valueAt(100, 200, span, LIMITS)).toBe(1);
    expect(valueAt(102, 200, span, LIMITS)).toBe(1);
    expect(valueAt(150, 200, span, LIMITS)).toBe(0.5);
    expect(valueAt(-40, 200, span, LIMITS)).toBe(2);
    expect(valueAt(999, 200, span, LIMITS)).toBe(0);
  });

  it("shows 0 to 2, wider where multipliers lie outside", () => {
    expect(spanOf([1, 1, 0.5])).toEqual({ low: 0, high: 2 });
    expect(spanOf([-0.5, 3.2])).toEqual({ low: -1, high: 4 });
    expect(ticksOf({ low: 0, high: 2 })).toEqual([0, 0.5, 1, 1.5, 2]);
    expect(ticksOf({ low: -10, high: 10 })).toEqual([-10, -5, 0, 5, 10]);
  });
});

it("sets and scales one group only, or all", () => {
  expect(withGroup([1, 1, 1, 1, 1], UPPER ?? null, () => 0.5, LIMITS)).toEqual([0.5, 0.5, 1, 1, 1]);
  expect(withGroup([8, 1, 1, 1, 0.5], null, (weight) => weight * 2, LIMITS)).toEqual([10, 2, 2, 2, 1]);
  expect(limited(-0.0001, LIMITS)).toBe(0);
});

it("draws over all blocks between two, in either direction", () => {
  expect(withRange([1, 1, 1, 1, 1], 3, 1, 0.5)).toEqual([1, 0.5, 0.5, 0.5, 1]);
  expect(withRange([1, 1, 1], 2, 2, 0)).toEqual([1, 1, 0]);
});

it("finds a name that is free", () => {
  expect(freeName("soft copy", ["soft"])).toBe("soft copy");
  expect(freeName("soft copy", ["soft copy", "soft copy 2"])).toBe("soft copy 3");
});
