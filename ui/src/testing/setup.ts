/** For every test: a server that answers nothing unasked, and what jsdom lacks of a browser. */
import { cleanup, configure } from "@testing-library/react";
import { afterEach, beforeEach, expect, vi } from "vitest";
import { installFakeServer, unhandledRequests } from "./fakeServer";

// Machines under load take their time; a test that waits in vain still fails.
configure({ asyncUtilTimeout: 8000 });

class StillResizeObserver {
  observe() {}
  unobserve() {}
  disconnect() {}
}

beforeEach(() => {
  installFakeServer({});
  vi.stubGlobal("ResizeObserver", StillResizeObserver);
  vi.stubGlobal("scrollTo", () => {});
  Element.prototype.scrollTo = () => {};
  // jsdom lays nothing out; every element measures this.
  vi.spyOn(Element.prototype, "clientHeight", "get").mockReturnValue(640);
  vi.spyOn(Element.prototype, "clientWidth", "get").mockReturnValue(1000);
  vi.spyOn(Element.prototype, "getBoundingClientRect").mockReturnValue(new DOMRect(0, 0, 1000, 640));
});

afterEach(() => {
  cleanup();
  expect(unhandledRequests()).toEqual([]);
  vi.unstubAllGlobals();
  localStorage.clear();
});
