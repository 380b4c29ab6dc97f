import { render, screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, describe, expect, it } from "vitest";
import type { ChecksAnswer } from "@/api/client";
import { App } from "@/app/App";
import { axeViolations } from "@/testing/axe";
import { type Handlers, installFakeServer, seenRequests } from "@/testing/fakeServer";
import { aDetail, aPage, aRow, aStatus } from "@/testing/fixtures";

const torn = aRow({
  stable_id: "IMG-STL-002",
  filename: "torn.safetensors",
  error: "The header is cut off.",
});
const gone = aRow({ stable_id: "IMG-STL-003", filename: "gone.safetensors", state: "missing" });
const copy = aRow({
  id: 9,
  stable_id: "IMG-CLT-009",
  filename: "coat 2.safetensors",
  duplicate_of: "IMG-CLT-001",
});

function aCheckup(): ChecksAnswer {
  return {
    checks: [
      { title: "Fine things", explanation: "Why they matter.", value: 0, passed: true, detail: null },
      {
        title: "Broken things",
        explanation: "What to do: `lwb index`.",
        value: 3,
        passed: false,
        detail: "IMG-STL-007",
      },
    ],
    passed: false,
  };
}

function open(change: Handlers = {}) {
  installFakeServer({
    "GET /api/checks": () => aCheckup(),
    "GET /api/checks/duplicates": () => ({
      groups: [{ content_hash: "5f".repeat(32), entries: [aRow(), copy] }],
      count: 1,
      total: 1,
    }),
    "GET /api/checks/contradictions": () => ({
      results: [
        {
          stable_id: "IMG-STL-008",
          filename: "lost.safetensors",
          lora_name: "lost",
          statements: ["the folder says one thing"],
        },
      ],
      count: 1,
      total: 1,
    }),
    "GET /api/lora/search": (url) => aPage(url.searchParams.get("state") === "unreadable" ? [torn] : [gone]),
    "GET /api/layouts": () => ({ layouts: [], count: 0 }),
    "GET /api/architectures": () => ({ architectures: [], count: 0 }),
    "GET /api/lora/index_status": () => aStatus({ failed: 1, missing: 1, duplicates: 1 }),
    ...change,
  });
  return render(<App />);
}

beforeEach(() => history.replaceState(null, "", "/checks"));

describe("health", () => {
  it("lists the checks with what they mean, failed ones first", async () => {
    const { container } = open();
    const first = (await screen.findByText("Broken things")).closest("li") as HTMLElement;
    expect(within(first).getByText("failed: 3")).toBeTruthy();
    expect(within(first).getByText("IMG-STL-007")).toBeTruthy();
    expect(within(first).getByText("lwb index").tagName).toBe("CODE");
    expect(container.querySelectorAll("[data-check]")[0]).toBe(first);
    expect(screen.getByText("Why they matter.")).toBeTruthy();
    await screen.findByText("the folder says one thing");
    expect(await axeViolations(container)).toEqual([]);
  });

  it("puts copies side by side and leads to the entries in the library", async () => {
    open();
    const group = await screen.findByRole("article", { name: "Copies of coat" });
    expect(
      within(group)
        .getAllByRole("link")
        .map(({ textContent }) => textContent),
    ).toEqual(["IMG-CLT-001", "IMG-CLT-009"]);
    const link = screen.getByRole("link", { name: "1 copy in the library" });
    expect(link.getAttribute("href")).toBe("/?state=duplicate");
  });

  it("forgets a missing entry only after asking", async () => {
    const { container } = open({
      "POST /api/lora/*/forget": () => ({ status: "forgotten", stable_id: "IMG-STL-003" }),
    });
    await userEvent.click(await screen.findByRole("button", { name: "Forget IMG-STL-003" }));
    expect(document.activeElement?.textContent).toBe("Cancel");
    expect(await axeViolations(container)).toEqual([]);
    await userEvent.keyboard("{Escape}");
    expect(document.activeElement).toBe(screen.getByRole("button", { name: "Forget IMG-STL-003" }));
    expect(seenRequests().some((request) => request.startsWith("POST"))).toBe(false);
    await userEvent.click(screen.getByRole("button", { name: "Forget IMG-STL-003" }));
    await userEvent.click(screen.getByRole("button", { name: "Forget" }));
    expect(await screen.findByText("IMG-STL-003 is forgotten.")).toBeTruthy();
    expect(seenRequests()).toContain("POST /api/lora/IMG-STL-003/forget");
  });

  it("tries an unreadable file again and says what came of it", async () => {
    open({
      "POST /api/lora/reindex_one/*": () => ({
        status: "failed",
        stable_id: "IMG-STL-002",
        duration_sec: 0.1,
        error: "The header is cut off.",
        lora: aDetail(),
      }),
    });
    await userEvent.click(await screen.findByRole("button", { name: "Try again IMG-STL-002" }));
    await userEvent.click(screen.getByRole("button", { name: "Try again" }));
    expect(await screen.findByText("IMG-STL-002 is as it was: The header is cut off.")).toBeTruthy();
  });

  it("asks for nothing where nothing is wrong", async () => {
    open({
      "GET /api/lora/index_status": () => aStatus(),
      "GET /api/checks/contradictions": () => ({ results: [], count: 0, total: 0 }),
    });
    expect(await screen.findByText("Every file could be read.")).toBeTruthy();
    expect(await screen.findByText("Tensors, metadata, names and folders agree everywhere.")).toBeTruthy();
    expect(screen.getByText("No two files have the same content.")).toBeTruthy();
    expect(seenRequests().some((request) => request.includes("/api/lora/search"))).toBe(false);
  });
});
