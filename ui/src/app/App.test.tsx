/** Whole pages against a server that answers only what the test lays down. */
import { fireEvent, render, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, describe, expect, it } from "vitest";
import { axeViolations } from "@/testing/axe";
import { type Handlers, installFakeServer, Refusal, seenRequests } from "@/testing/fakeServer";
import { aDetail, aPage, aRow, aStatus, someBlocks, someProfiles, TWO_STACKS } from "@/testing/fixtures";
import { App } from "./App";

const rows = [
  aRow(),
  aRow({ id: 2, stable_id: "IMG-STL-001", filename: "ink.safetensors", duplicate_of: "IMG-STL-009" }),
  aRow({
    id: 3,
    stable_id: "IMG-STL-002",
    filename: "torn.safetensors",
    error: "The header is cut off.",
    weights: null,
  }),
];

const library: Handlers = {
  "GET /api/lora/search": (url) => {
    const text = url.searchParams.get("search") ?? "";
    const offset = Number(url.searchParams.get("offset") ?? 0);
    const found = rows.filter(({ filename }) => filename.includes(text));
    return aPage(found.slice(offset, offset + Number(url.searchParams.get("limit"))), {
      total: found.length,
    });
  },
  "GET /api/layouts": () => ({ layouts: [TWO_STACKS], count: 1 }),
  "GET /api/architectures": () => ({ architectures: [], count: 0 }),
  "GET /api/lora/index_status": () => aStatus(),
  "GET /api/lora/*": () => aDetail(),
  "GET /api/lora/*/blocks": () => someBlocks(),
  "GET /api/lora/*/profiles": () => someProfiles(),
};

function open(path: string, change: Handlers = {}) {
  installFakeServer({
    ...change,
    ...Object.fromEntries(Object.entries(library).filter(([key]) => !(key in change))),
  });
  history.replaceState(null, "", path);
  return render(<App />);
}

beforeEach(() => history.replaceState(null, "", "/"));

describe("the library", () => {
  it("lists entries with their marks in words, and the total", async () => {
    const { container } = open("/");
    const row = (await screen.findByText("torn")).closest("[role=row]") as HTMLElement;
    expect(within(row).getByText("unreadable")).toBeTruthy();
    expect(screen.getByText("copy")).toBeTruthy();
    expect(screen.getAllByRole("status").some((status) => status.textContent === "3 LoRAs")).toBe(true);
    expect(await axeViolations(container)).toEqual([]);
  });

  it("searches on the server and writes the search into the address", async () => {
    open("/");
    await screen.findByText("coat");
    screen.getByRole("searchbox").focus();
    await userEvent.paste("ink");
    await waitFor(() => expect(screen.queryByText("coat")).toBeNull());
    expect(location.search).toBe("?q=ink");
    expect(document.activeElement).toBe(screen.getByRole("searchbox"));
    const asked = seenRequests().filter(
      (request) => request.includes("search=") && !request.includes("facets"),
    );
    expect(asked).toHaveLength(1);
  });

  it("asks for what the address says, and sorts on the server", async () => {
    open("/?base=IMG&sort=-size");
    await screen.findByText("coat");
    expect(
      seenRequests().some((request) => request.includes("base=IMG") && request.includes("sort=-size")),
    ).toBe(true);
    await userEvent.click(screen.getByRole("button", { name: "Rank" }));
    await waitFor(() => expect(location.search).toBe("?base=IMG&sort=rank"));
  });

  it("moves with the arrows and opens with Enter", async () => {
    open("/");
    await screen.findByText("coat");
    screen.getByRole("searchbox").focus();
    await userEvent.keyboard("{ArrowDown}{Enter}");
    await waitFor(() => expect(location.pathname).toBe("/lora/IMG-STL-001"));
    expect(location.search).toBe("?at=1");
  });

  it("says what is wrong in the server's words, and tries again when asked", async () => {
    let healthy = false;
    open("/", {
      "GET /api/lora/search": (url) =>
        healthy
          ? library["GET /api/lora/search"]?.(url)
          : new Refusal(400, { detail: "The catalogue is locked.", code: "busy", subject: null, fields: [] }),
    });
    expect(await screen.findByText("The catalogue is locked.")).toBeTruthy();
    healthy = true;
    await userEvent.click(screen.getByRole("button", { name: "Try again" }));
    expect(await screen.findByText("coat")).toBeTruthy();
  });

  it("offers a way out of a search without results", async () => {
    open("/?q=nothing");
    await userEvent.click(await screen.findByRole("button", { name: "Clear search and filters" }));
    expect(await screen.findByText("coat")).toBeTruthy();
    expect(location.search).toBe("");
  });

  it("tells how to begin when the library is empty", async () => {
    open("/", { "GET /api/lora/search": () => aPage([]) });
    expect(await screen.findByText("The library is empty")).toBeTruthy();
  });
});

describe("an entry", () => {
  it("draws a bar a block and says how many were measured", async () => {
    const { container } = open("/lora/IMG-CLT-001");
    expect(await screen.findByText("4 of 5 blocks")).toBeTruthy();
    expect(container.querySelectorAll("[data-block]")).toHaveLength(5);
    expect(await axeViolations(container)).toEqual([]);
  });

  it("says among its facts which rank would do", async () => {
    open("/lora/IMG-CLT-001");
    const sentence = "Trained at rank 16; rank 6 keeps 90 % of the change, 9 keeps 95 %, 15 keeps 99 %.";
    expect((await screen.findByText(sentence)).closest("dl")).toBeTruthy();
  });

  it("reads as a table", async () => {
    const { container } = open("/lora/IMG-CLT-001");
    await userEvent.click(await screen.findByRole("button", { name: "Read as a table" }));
    expect(container.querySelectorAll("[data-block-row]")).toHaveLength(5);
    const table = within(screen.getByRole("table"));
    expect(table.getByText("not in this file")).toBeTruthy();
    expect(table.getByRole("columnheader", { name: "Stable rank" })).toBeTruthy();
    expect(table.getAllByText("2.25")).toHaveLength(4);
  });

  it("gives the reason of a fallback and calls nothing measured", async () => {
    open("/lora/IMG-CLT-001", {
      "GET /api/lora/*/blocks": () =>
        someBlocks({ fallback: true, fallback_reason: "No known module.", has_block_weights: false }),
    });
    expect(await screen.findByText("No known module.")).toBeTruthy();
    expect(await screen.findByText("0 of 5 blocks")).toBeTruthy();
  });

  it("leads to the other half of a LoRA in two files", async () => {
    const { container } = open("/lora/IMG-CLT-001", {
      "GET /api/lora/*": () => aDetail({ pair: { stable_id: "IMG-CLT-002", noise: "low-noise" } }),
    });
    const link = await screen.findByRole("link", { name: "IMG-CLT-002" });
    expect(link.getAttribute("href")).toBe("/lora/IMG-CLT-002");
    expect(link.parentElement?.textContent).toBe("One of two files; the low-noise half is IMG-CLT-002");
    expect(await axeViolations(container)).toEqual([]);
  });

  it("shows text from files as text", async () => {
    const evil = '<img src="x" onerror="document.title=1">';
    const { container } = open("/lora/IMG-CLT-001", {
      "GET /api/lora/*": () =>
        aDetail({
          filename: `${evil}.safetensors`,
          metadata: { [evil]: evil },
          summary: { ...aDetail().summary, trigger_words: [evil], description: evil, tags: [[evil, 1]] },
        }),
    });
    expect((await screen.findAllByText(evil)).length).toBeGreaterThan(3);
    expect(container.querySelector("img")).toBeNull();
  });

  it("steps through the list it was opened from", async () => {
    open("/lora/IMG-CLT-001?at=0");
    await screen.findByText("1 of 3");
    await screen.findByText("4 of 5 blocks");
    await waitFor(() =>
      expect(screen.getByRole("button", { name: "Next →" })).toHaveProperty("disabled", false),
    );
    fireEvent.keyDown(document.body, { key: "ArrowRight" });
    await waitFor(() => expect(location.pathname + location.search).toBe("/lora/IMG-STL-001?at=1"));
    fireEvent.keyDown(document.body, { key: "Escape" });
    await waitFor(() => expect(location.pathname).toBe("/"));
  });

  it("says so when there is no such entry", async () => {
    open("/lora/IMG-CLT-999", {
      "GET /api/lora/*": () =>
        new Refusal(404, {
          detail: "No entry has the id 'IMG-CLT-999'.",
          code: "not_found",
          subject: null,
          fields: [],
        }),
      "GET /api/lora/*/blocks": () =>
        new Refusal(404, {
          detail: "No entry has the id 'IMG-CLT-999'.",
          code: "not_found",
          subject: null,
          fields: [],
        }),
    });
    expect(await screen.findByText("No entry has the id 'IMG-CLT-999'.")).toBeTruthy();
  });
});

describe("indexing", () => {
  it("starts a run without waiting for its end", async () => {
    open("/indexing", { "POST /api/lora/reindex_all": () => ({ status: "started" }) });
    await userEvent.click(await screen.findByRole("button", { name: "Reindex" }));
    await waitFor(() => expect(seenRequests()).toContain("POST /api/lora/reindex_all?wait=false&full=false"));
  });

  it("shows progress while it runs, and each error with its reason", async () => {
    const status = aStatus({
      indexing: true,
      phase: "data",
      done: 30,
      total: 120,
      current: "a/b.safetensors",
      error_count: 3,
      errors: [{ path: "a/torn.safetensors", reason: "The header is cut off." }],
    });
    const { container } = open("/indexing", { "GET /api/lora/index_status": () => status });
    expect(await screen.findByRole("progressbar")).toHaveProperty("value", 0.25);
    expect(screen.getByText("The header is cut off.")).toBeTruthy();
    expect(screen.getByText(/2 more are not listed here/)).toBeTruthy();
    expect(screen.getByRole("button", { name: "Stop" })).toBeTruthy();
    expect(await axeViolations(container)).toEqual([]);
  });
});

describe("layouts", () => {
  it("lists what the server's registry holds", async () => {
    const { container } = open("/layouts");
    const id = await screen.findByText(TWO_STACKS.id);
    const item = id.closest("li") as HTMLElement;
    expect(item.querySelectorAll("i")).toHaveLength(5);
    expect(within(item).getByText("L00–L02")).toBeTruthy();
    expect(await axeViolations(container)).toEqual([]);
  });
});
