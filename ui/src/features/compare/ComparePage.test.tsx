import { render, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, describe, expect, it } from "vitest";
import { App } from "@/app/App";
import { axeViolations } from "@/testing/axe";
import { aComparison } from "@/testing/compareFixtures";
import { type Handlers, installFakeServer, seenRequests } from "@/testing/fakeServer";
import { aPage, aRow, aStatus, TWO_STACKS } from "@/testing/fixtures";

const IDS = "IMG-CLT-001,OTH-STL-001,IMG-STL-001";

function open(path: string, change: Handlers = {}) {
  installFakeServer({
    "GET /api/compare": () => aComparison(),
    "GET /api/layouts": () => ({ layouts: [TWO_STACKS], count: 1 }),
    "GET /api/architectures": () => ({ architectures: [], count: 0 }),
    "GET /api/lora/index_status": () => aStatus(),
    "GET /api/lora/search": (url) =>
      aPage([
        aRow(),
        aRow({ id: 4, stable_id: "IMG-STL-004", filename: `${url.searchParams.get("search")}.safetensors` }),
      ]),
    ...change,
  });
  history.replaceState(null, "", path);
  return render(<App />);
}

beforeEach(() => history.replaceState(null, "", "/compare"));

describe("comparing", () => {
  it("draws what can be compared and says why the rest cannot", async () => {
    const { container } = open(`/compare?ids=${IDS}`);
    expect(await screen.findByText("It is for Other, the others are for Imaginary One.")).toBeTruthy();
    expect(container.querySelectorAll("[data-place]")).toHaveLength(4);
    expect(container.querySelectorAll('[data-series="A"]')).toHaveLength(2);
    expect(screen.getByText("0.421")).toBeTruthy();
    expect(screen.getByRole("heading", { name: "Similar shape, not similar weights" })).toBeTruthy();
    expect(seenRequests()).toContain("GET /api/compare?ids=IMG-CLT-001&ids=OTH-STL-001&ids=IMG-STL-001");
    expect(await axeViolations(container)).toEqual([]);
  });

  it("reads every value of the block in focus", async () => {
    const { container } = open(`/compare?ids=${IDS}`);
    await screen.findByText("0.421");
    container.querySelector<SVGGElement>('[data-place="1"]')?.focus();
    await userEvent.keyboard("{ArrowRight}");
    expect(document.activeElement?.getAttribute("aria-label")).toBe(
      "L00, lower blocks 1 of 2: A 0.250, C 1.000",
    );
    const readout = container.querySelector("figure > p");
    expect(readout?.textContent).toBe("L00A0.250C1.000");
  });

  it("keeps measure, reference and table in the address, and lists the same numbers", async () => {
    const { container } = open(`/compare?ids=${IDS}`);
    await userEvent.click(await screen.findByRole("button", { name: "Raw strength" }));
    await userEvent.click(screen.getByRole("button", { name: "Against A" }));
    await userEvent.click(screen.getByRole("button", { name: "Read as a table" }));
    await waitFor(() =>
      expect(location.search).toBe(`?ids=${IDS}&measure=raw&against=IMG-CLT-001&view=table`),
    );
    const rows = [...container.querySelectorAll("[data-place-row]")].map((row) =>
      [...row.children].map(({ textContent }) => textContent),
    );
    expect(rows[2]).toEqual(["L00", "Lower blocks", "0.5", "4", "+3.5"]);
    expect(rows[3]).toEqual(["L01", "Lower blocks", "not in this file", "1", "+1"]);
    expect(await axeViolations(container)).toEqual([]);
  });

  it("adds one by typing, of the same architecture and not there yet", async () => {
    const { container } = open("/compare?ids=IMG-CLT-001", {
      "GET /api/compare": () => aComparison({ entries: aComparison().entries.slice(0, 1), similarities: [] }),
    });
    await screen.findByText("Add another LoRA");
    screen.getByRole("combobox", { name: "Compare with" }).focus();
    await userEvent.paste("velvet");
    const option = await screen.findByRole("option", { name: /velvet/ });
    expect(within(option.parentElement as HTMLElement).getAllByRole("option")).toHaveLength(1);
    expect(await axeViolations(container)).toEqual([]);
    expect(
      seenRequests().some((one) => one.includes("search=velvet") && one.includes("architecture=imaginary1")),
    ).toBe(true);
    await userEvent.keyboard("{Enter}");
    await waitFor(() => expect(location.search).toBe("?ids=IMG-CLT-001,IMG-STL-004"));
  });

  it("takes one out", async () => {
    open(`/compare?ids=${IDS}`);
    await userEvent.click(await screen.findByRole("button", { name: "Take other out" }));
    await waitFor(() => expect(location.search).toBe("?ids=IMG-CLT-001,IMG-STL-001"));
  });

  it("tells how to begin", async () => {
    const { container } = open("/compare");
    expect(await screen.findByText("Two to six LoRAs beside each other")).toBeTruthy();
    expect(await axeViolations(container)).toEqual([]);
  });
});
