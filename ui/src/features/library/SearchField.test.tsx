import { fireEvent, render, screen } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { SearchField } from "./SearchField";

describe("SearchField", () => {
  beforeEach(() => vi.useFakeTimers());
  afterEach(() => vi.useRealTimers());

  it("searches once the typing pauses, not at every key", () => {
    const onSearch = vi.fn();
    render(<SearchField value="" onSearch={onSearch} onListKey={() => {}} />);
    for (const value of ["c", "co", "coa", "coat"]) {
      fireEvent.change(screen.getByRole("searchbox"), { target: { value } });
      vi.advanceTimersByTime(100);
    }
    expect(onSearch).not.toHaveBeenCalled();
    vi.advanceTimersByTime(100);
    expect(onSearch.mock.calls).toEqual([["coat"]]);
  });

  it("takes the focus on / and leaves the character out", () => {
    render(<SearchField value="" onSearch={() => {}} onListKey={() => {}} />);
    fireEvent.keyDown(document.body, { key: "/" });
    expect(document.activeElement).toBe(screen.getByRole("searchbox"));
    expect(screen.getByRole("searchbox")).toHaveProperty("value", "");
  });

  it("follows the address bar without searching again", () => {
    const onSearch = vi.fn();
    const { rerender } = render(<SearchField value="coat" onSearch={onSearch} onListKey={() => {}} />);
    rerender(<SearchField value="" onSearch={onSearch} onListKey={() => {}} />);
    vi.advanceTimersByTime(500);
    expect(screen.getByRole("searchbox")).toHaveProperty("value", "");
    expect(onSearch).not.toHaveBeenCalled();
  });

  it("empties on Escape, and hands arrows to the list", () => {
    const onListKey = vi.fn();
    render(<SearchField value="coat" onSearch={() => {}} onListKey={onListKey} />);
    fireEvent.keyDown(screen.getByRole("searchbox"), { key: "ArrowDown" });
    expect(onListKey).toHaveBeenCalledOnce();
    fireEvent.keyDown(screen.getByRole("searchbox"), { key: "Escape" });
    expect(screen.getByRole("searchbox")).toHaveProperty("value", "");
  });

  it("searches at once on Enter, and leaves the rows of the text before closed", () => {
    const onSearch = vi.fn();
    const onListKey = vi.fn();
    render(<SearchField value="" onSearch={onSearch} onListKey={onListKey} />);
    fireEvent.change(screen.getByRole("searchbox"), { target: { value: "coat" } });
    fireEvent.keyDown(screen.getByRole("searchbox"), { key: "Enter" });
    vi.advanceTimersByTime(500);
    expect(onSearch.mock.calls).toEqual([["coat"]]);
    expect(onListKey).not.toHaveBeenCalled();
  });
});
