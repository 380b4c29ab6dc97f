import { fireEvent, render, screen } from "@testing-library/react";
import { describe, expect, it } from "vitest";
import { aDetail } from "@/testing/fixtures";
import { Preview } from "./Preview";

const PREVIEW = { url: "/api/lora/IMG-CLT-001/preview", file: "coat.preview.png" };

describe("the preview image", () => {
  it("says what it shows, loads when it comes into sight and opens in full", () => {
    render(<Preview preview={PREVIEW} of={aDetail()} />);
    const image = screen.getByRole("img", { name: "Preview of coat" });
    expect(image.getAttribute("src")).toBe(PREVIEW.url);
    expect(image.getAttribute("loading")).toBe("lazy");
    expect(image.closest("a")?.getAttribute("href")).toBe(PREVIEW.url);
  });

  it("says that it cannot be shown where the server refuses it", () => {
    render(<Preview preview={PREVIEW} of={aDetail()} />);
    fireEvent.error(screen.getByRole("img"));
    expect(screen.getByText("coat.preview.png cannot be shown.")).toBeDefined();
    expect(screen.queryByRole("img")).toBeNull();
  });
});
