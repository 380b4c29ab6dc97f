import { fireEvent, render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { createRef } from "react";
import { describe, expect, it } from "vitest";
import { axeViolations } from "@/testing/axe";
import { someBlocks, TWO_STACKS } from "@/testing/fixtures";
import { BlockChart } from "./BlockChart";
import { chartModel } from "./chartModel";

function draw(fallback = false) {
  const ref = createRef<SVGSVGElement>();
  const model = chartModel(TWO_STACKS, someBlocks().blocks, fallback);
  const { container } = render(
    <BlockChart model={model} title="Coat" colourOf={(key) => `var(--${key})`} svgRef={ref} />,
  );
  return { container, bars: [...container.querySelectorAll<SVGGElement>("[data-block]")] };
}

describe("BlockChart", () => {
  it("draws one bar a block, each named for screen readers", () => {
    const { bars } = draw();
    expect(bars).toHaveLength(5);
    const name =
      "U01, upper blocks 2 of 2: weight 1.000, raw strength 2, rank 16, RMS change 4.00e-4, stable rank 2.25, rank for 95 % 9";
    expect(screen.getByRole("img", { name })).toBe(bars[1]);
  });

  it("shows the strongest block until another is pointed at", () => {
    const { bars, container } = draw();
    const readout = container.querySelector("figure > p");
    expect(readout?.textContent).toContain("strongest");
    if (bars[0]) fireEvent.pointerEnter(bars[0]);
    expect(readout?.textContent).toMatch(
      /U00.*weight 0\.500.*raw 1rank 16RMS change 2\.00e-4stable rank 2\.25rank for 95 % 9$/,
    );
  });

  it("is one stop for the Tab key; arrows, Home and End move inside", async () => {
    const { bars } = draw();
    const user = userEvent.setup();
    await user.tab();
    expect(document.activeElement).toBe(bars[0]);
    await user.keyboard("{ArrowRight}{ArrowRight}");
    expect(document.activeElement).toBe(bars[2]);
    await user.keyboard("{End}{ArrowRight}");
    expect(document.activeElement).toBe(bars[4]);
    await user.keyboard("{Home}");
    expect(document.activeElement).toBe(bars[0]);
  });

  it("tells measured, absent and unmeasured apart by shape", () => {
    expect(draw().bars.map((bar) => bar.querySelectorAll("circle").length)).toEqual([0, 0, 0, 1, 0]);
    const hatched = draw(true).bars.map((bar) => bar.innerHTML.includes("url(#"));
    expect(hatched).toEqual([true, true, true, true, true]);
  });

  it("has no accessibility faults", async () => {
    expect(await axeViolations(draw().container)).toEqual([]);
  });
});
