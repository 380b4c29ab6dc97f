/** The panel on its page: the guard against lost changes needs the real router. */
import { fireEvent, render, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it } from "vitest";
import { App } from "@/app/App";
import { axeViolations } from "@/testing/axe";
import { type Handlers, installFakeServer, Refusal, seenRequests } from "@/testing/fakeServer";
import {
  aDetail,
  aPage,
  aProfile,
  aRow,
  aStatus,
  someBlocks,
  someProfiles,
  TWO_STACKS,
} from "@/testing/fixtures";

function open(change: Handlers = {}) {
  installFakeServer({
    "GET /api/lora/*/profiles": () => someProfiles([aProfile()]),
    ...change,
    "GET /api/lora/search": () => aPage([aRow()]),
    "GET /api/layouts": () => ({ layouts: [TWO_STACKS], count: 1 }),
    "GET /api/architectures": () => ({ architectures: [], count: 0 }),
    "GET /api/lora/index_status": () => aStatus(),
    "GET /api/lora/*": () => aDetail(),
    "GET /api/lora/*/blocks": () => change.blocks?.(new URL("http://x")) ?? someBlocks(),
  });
  history.replaceState(null, "", "/lora/IMG-CLT-001");
  return render(<App />);
}

const saved = (profile = aProfile()) => ({ ...profile, stable_id: "IMG-CLT-001", profiles: [profile] });
const press = async (name: string) => userEvent.click(await screen.findByRole("button", { name }));
const bar = (label: string) => screen.getByRole("slider", { name: label });
const value = (label: string) => bar(label).getAttribute("aria-valuenow");

describe("the profiles of an entry", () => {
  it("lists what is saved, and what each does, in words", async () => {
    const { container } = open();
    expect(await screen.findByText("2 of 5 changed, 1 of them off")).toBeTruthy();
    expect(screen.getByText("1 saved")).toBeTruthy();
    expect(await axeViolations(container)).toEqual([]);
  });

  it("opens one with a slider a block, labels from the layout, and no accessibility faults", async () => {
    const { container } = open();
    await press("soft");
    expect(screen.getAllByRole("slider").map((each) => each.getAttribute("aria-label"))).toEqual([
      "U00",
      "U01",
      "L00",
      "L01",
      "L02",
    ]);
    expect(bar("U00").getAttribute("aria-valuetext")).toBe("1.0, neutral; measured 0.500");
    expect(bar("U01").getAttribute("aria-valuetext")).toBe("0.5; measured 1.000");
    await userEvent.click(screen.getByText("Type the numbers"));
    expect(await axeViolations(container)).toEqual([]);
  });

  it("changes by keys: steps, zero, one, moving, and Enter to type", async () => {
    open();
    await press("soft");
    bar("U00").focus();
    await userEvent.keyboard("{ArrowUp}{ArrowRight}{Shift>}{ArrowDown}{/Shift}");
    expect(value("U00")).toBe("1.05");
    expect(value("U01")).toBe("0.25");
    await userEvent.keyboard("0{End}1");
    expect(value("U01")).toBe("0");
    expect(value("L02")).toBe("1");
    await userEvent.keyboard("{Enter}");
    const field = screen.getByRole("textbox", { name: "Multiplier of L02" });
    expect(document.activeElement).toBe(field);
    await userEvent.keyboard("0.375{Enter}");
    expect(value("L02")).toBe("0.375");
    expect(document.activeElement).toBe(bar("L02"));
    expect(location.pathname).toBe("/lora/IMG-CLT-001");
  });

  it("drags a bar, and with Shift draws over all that are passed", async () => {
    const { container } = open();
    await press("soft");
    const svg = container.querySelector("svg:has([data-multiplier])") as SVGSVGElement;
    svg.setPointerCapture = () => {};
    // The plot begins 30 below the upper edge and is 200 high, from 2 to 0; L00's middle is at 174.5.
    fireEvent.pointerDown(bar("U00"), { button: 0, clientX: 50, clientY: 180 });
    fireEvent.pointerMove(svg, { clientX: 300, clientY: 205 });
    expect([value("U00"), value("U01")]).toEqual(["0.25", "0.5"]);
    fireEvent.pointerMove(svg, { clientX: 180, clientY: 80, shiftKey: true });
    fireEvent.pointerUp(svg);
    expect(["U00", "U01", "L00", "L01"].map(value)).toEqual(["1.5", "1.5", "1.5", "1"]);
    expect(document.activeElement).toBe(bar("L00"));
    fireEvent.doubleClick(bar("L00"));
    expect(value("L00")).toBe("1");
  });

  it("shows why a number or a list is not taken, and keeps the bars", async () => {
    open();
    await press("soft");
    fireEvent.change(screen.getByRole("textbox", { name: "Multiplier of U00" }), { target: { value: "11" } });
    expect(screen.getByRole("alert").textContent).toBe("From -10 to 10.");
    expect(value("U00")).toBe("1");
    await userEvent.click(screen.getByText("Type the numbers"));
    const list = await screen.findByRole("textbox", { name: /All 5, in order/ });
    fireEvent.change(list, { target: { value: "1, 2" } });
    expect(screen.getByText(/There are 2 numbers; this layout takes 5/)).toBeTruthy();
    fireEvent.change(list, { target: { value: "0, 0.1, 0.2, 0.3, 2" } });
    expect(["U00", "U01", "L00", "L01", "L02"].map(value)).toEqual(["0", "0.1", "0.2", "0.3", "2"]);
  });

  it("offers presets from the layout's groups, and sets and scales one group", async () => {
    open();
    await press("soft");
    await press("Only lower blocks");
    expect(["U00", "U01", "L00"].map(value)).toEqual(["0", "0", "1"]);
    await press("Shape like the measured strengths");
    expect(["U00", "U01", "L00", "L01", "L02"].map(value)).toEqual(["0.5", "1", "0.25", "1", "0.75"]);
    await userEvent.selectOptions(screen.getByRole("combobox", { name: "Blocks" }), "upper");
    await press("Scale by 0.5");
    expect(["U00", "U01", "L00"].map(value)).toEqual(["0.25", "0.5", "0.25"]);
    await press("Reset");
    expect(["U00", "U01", "L00", "L01", "L02"].map(value)).toEqual(["1", "0.5", "1", "1", "0"]);
  });
});

describe("saving", () => {
  it("makes a new one, then says that it is saved", async () => {
    const made = aProfile({ id: 8, profile_name: "quiet", block_weights: [0, 0, 0, 0, 0] });
    open({ "POST /api/lora/*/profiles": () => saved(made) });
    await press("New profile");
    await press("None");
    await userEvent.clear(screen.getByRole("textbox", { name: "Name" }));
    expect(screen.getByRole("button", { name: "Save" })).toHaveProperty("disabled", true);
    await userEvent.type(screen.getByRole("textbox", { name: "Name" }), "quiet");
    await press("Save");
    expect(await screen.findByText("5 of 5 off")).toBeTruthy();
    expect(screen.queryByText("changes not saved")).toBeNull();
  });

  it("says in the server's words why not, and keeps what was done", async () => {
    const detail = "IMG-CLT-001 has a profile named 'soft' already; choose another name.";
    open({
      "PUT /api/lora/*/profiles/*": () =>
        new Refusal(409, { detail, code: "conflict", subject: "profile_name", fields: [] }),
    });
    await press("soft");
    await press("None");
    await press("Save");
    expect((await screen.findByRole("alert")).textContent).toContain(detail);
    expect(value("U00")).toBe("0");
    expect(screen.getByText("changes not saved")).toBeTruthy();
  });

  it("duplicates, and deletes only when asked twice", async () => {
    open({
      "POST /api/lora/*/profiles": () => saved(aProfile({ id: 9, profile_name: "soft copy" })),
      "DELETE /api/lora/*/profiles/*": () => ({ stable_id: "IMG-CLT-001", deleted: 9, profiles: [] }),
    });
    await press("Duplicate soft");
    await press("Delete soft copy");
    expect(seenRequests().some((request) => request.startsWith("DELETE"))).toBe(false);
    expect(document.activeElement?.textContent).toBe("Keep");
    await userEvent.click(
      within(screen.getByRole("group", { name: "Delete soft copy for good?" })).getByText("Delete soft copy"),
    );
    expect(await screen.findByText(/None yet/)).toBeTruthy();
    expect(seenRequests()).toContain("DELETE /api/lora/IMG-CLT-001/profiles/9");
    expect(screen.queryByRole("slider")).toBeNull();
  });
});

describe("changes that are not saved", () => {
  it("stop a way to another page, which then goes on when they are given up", async () => {
    open();
    await press("soft");
    await press("None");
    await userEvent.click(screen.getByRole("link", { name: "Layouts" }));
    const question = await screen.findByRole("alertdialog");
    expect(location.pathname).toBe("/lora/IMG-CLT-001");
    expect(document.activeElement?.textContent).toBe("Keep editing");
    fireEvent.keyDown(question, { key: "Escape" });
    await waitFor(() => expect(screen.queryByRole("alertdialog")).toBeNull());
    expect(value("U00")).toBe("0");
    await userEvent.click(screen.getByRole("link", { name: "Layouts" }));
    await press("Discard the changes");
    await waitFor(() => expect(location.pathname).toBe("/layouts"));
  });

  it("stop the tab from closing; without changes it closes", async () => {
    open();
    await press("soft");
    const closing = () => {
      const event = new Event("beforeunload", { cancelable: true });
      window.dispatchEvent(event);
      return event.defaultPrevented;
    };
    expect(closing()).toBe(false);
    await press("None");
    expect(closing()).toBe(true);
    await press("Reset");
    expect(closing()).toBe(false);
  });

  it("are asked about before another profile takes their place", async () => {
    const other = aProfile({ id: 8, profile_name: "hard", block_weights: [2, 2, 2, 2, -1] });
    open({ "GET /api/lora/*/profiles": () => someProfiles([aProfile(), other]) });
    expect(await screen.findByText("5 of 5 changed, 1 below 0")).toBeTruthy();
    await press("soft");
    await press("None");
    await press("hard");
    expect(value("U00")).toBe("0");
    await press("Discard the changes");
    expect(value("U00")).toBe("2");
  });
});

describe("what cannot be edited, or only blindly", () => {
  it("says that nothing was measured, and lets the multipliers be set", async () => {
    open({ blocks: () => someBlocks({ fallback: true, has_block_weights: false }) });
    await press("soft");
    expect(screen.getByText("Nothing was measured in this file")).toBeTruthy();
    expect(screen.queryByRole("button", { name: /measured strengths/ })).toBeNull();
    expect(bar("U00").getAttribute("aria-valuetext")).toBe("1.0, neutral");
  });

  it("keeps a profile of another layout from being opened, and says why", async () => {
    const misfit = "it was saved for other_9 (9 blocks), and the entry has imaginary_two_5 (5 blocks) now";
    open({ "GET /api/lora/*/profiles": () => someProfiles([aProfile({ fits: false, misfit })]) });
    expect(await screen.findByText(`${misfit}.`)).toBeTruthy();
    expect(screen.getByRole("button", { name: "soft" })).toHaveProperty("disabled", true);
    expect(screen.getByRole("button", { name: "Delete soft" })).toHaveProperty("disabled", false);
  });

  it("says why the profiles did not load, and tries again", async () => {
    let healthy = false;
    const refusal = new Refusal(400, {
      detail: "The catalogue is locked.",
      code: "busy",
      subject: null,
      fields: [],
    });
    open({ "GET /api/lora/*/profiles": () => (healthy ? someProfiles() : refusal) });
    expect(await screen.findByText("The catalogue is locked.")).toBeTruthy();
    healthy = true;
    await press("Try again");
    expect(await screen.findByText(/None yet/)).toBeTruthy();
  });
});
