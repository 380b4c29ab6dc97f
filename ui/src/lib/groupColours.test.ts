import { describe, expect, it } from "vitest";
import { assignGroupColours, GROUP_COLOUR_COUNT } from "./groupColours";

const layout = (...keys: string[]) => ({ groups: keys.map((key) => ({ key })) });

describe("assignGroupColours", () => {
  it("gives a group the same colour in every layout it is part of", () => {
    const colours = assignGroupColours([layout("b"), layout("a", "b")]);
    expect(Object.fromEntries(colours)).toEqual({ b: 0, a: 1 });
  });

  it("keeps groups apart that share a layout, even when one of them is met first elsewhere", () => {
    const colours = assignGroupColours([layout("x"), layout("y"), layout("x", "y", "z")]);
    expect(new Set(colours.values()).size).toBe(3);
  });

  it("uses colours evenly once there are more groups than colours", () => {
    const colours = assignGroupColours(
      Array.from({ length: 2 * GROUP_COLOUR_COUNT }, (_, n) => layout(`g${n}`)),
    );
    for (let number = 0; number < GROUP_COLOUR_COUNT; number++)
      expect([...colours.values()].filter((value) => value === number)).toHaveLength(2);
  });

  it("does not fail on a layout with more groups than colours", () => {
    const many = layout(...Array.from({ length: 11 }, (_, n) => `g${n}`));
    expect(assignGroupColours([many]).size).toBe(11);
  });
});
