import { fireEvent, render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { SearchField } from "./SearchField";

describe("SearchField", () => {
  beforeEach(() => vi.useFakeTimers({ shouldAdvanceTime: true }));
  afterEach(() => vi.useRealTimers());
  const user = () => userEvent.setup({ advanceTimers: vi.advanceTimersByTime });

  it("searches once the typing pauses, not at every key", async () => {
    const onSearch = vi.fn();
    render(<SearchField value="" onSearch={onSearch} onListKey={() => {}} />);
    await user().type(screen.getByRole("searchbox"), "coat");
    vi.advanceTimersByTime(500);
    expect(onSearch.mock.calls).toEqual([["coat"]]);
  });

  it("takes the focus on / and leaves the character out", async () => {
    render(<SearchField value="" onSearch={() => {}} onListKey={() => {}} />);
    await user().keyboard("/");
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
});
