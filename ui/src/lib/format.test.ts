import { describe, expect, it } from "vitest";
import {
  countOf,
  displayName,
  formatAgo,
  formatBytes,
  formatDuration,
  formatSmall,
  formatStrength,
  withoutPath,
} from "./format";

describe("formatBytes", () => {
  it.each([
    [0, "0 B"],
    [999, "999 B"],
    [1000, "1.00 kB"],
    [87_654_321, "87.7 MB"],
    [999_600_000, "1.00 GB"],
    [228_000_000_000, "228 GB"],
  ])("shows %d as %s", (bytes, text) => expect(formatBytes(bytes)).toBe(text));
});

describe("formatSmall", () => {
  it.each([
    [0, "0"],
    [0.0001797487, "1.80e-4"],
    [0.0234567, "0.0235"],
  ])("shows %d as %s", (value, text) => expect(formatSmall(value)).toBe(text));
});

describe("formatStrength", () => {
  it.each([
    [0, "0"],
    [0.0431234, "0.04312"],
    [12.5, "12.5"],
    [0.00001234567, "1.235e-5"],
    [1_234_567, "1.235e+6"],
  ])("shows %d as %s", (value, text) => expect(formatStrength(value)).toBe(text));
});

describe("formatDuration", () => {
  it.each([
    [4.25, "4.3 s"],
    [41.5, "42 s"],
    [125, "2 min 05 s"],
    [11_520, "3 h 12 min"],
  ])("shows %d s as %s", (seconds, text) => expect(formatDuration(seconds)).toBe(text));
});

describe("formatAgo", () => {
  const now = Date.parse("2026-05-05T12:00:00Z");
  it.each([
    ["2026-05-05T11:59:30Z", "just now"],
    ["2026-05-05T11:56:00Z", "4 min ago"],
    ["2026-05-05T09:00:00Z", "3 h ago"],
    ["2026-05-04T09:00:00Z", "yesterday"],
    ["2026-04-23T09:00:00Z", "12 days ago"],
    ["no date", "no date"],
  ])("shows %s as %s", (iso, text) => expect(formatAgo(iso, now)).toBe(text));
});

it("drops only the extension that every file has", () => {
  expect(displayName("coat.v2.safetensors")).toBe("coat.v2");
  expect(displayName("coat.pt")).toBe("coat.pt");
});

it("says a path once", () => {
  expect(withoutPath("/a/b: the file is cut short", "/a/b")).toBe("The file is cut short");
  expect(withoutPath("the file is cut short", "/a/b")).toBe("the file is cut short");
  expect(withoutPath("/a/b: ", "/a/b")).toBe("/a/b: ");
});

it("counts one and many", () => {
  expect(countOf(1, "entry", "entries")).toBe("1 entry");
  expect(countOf(12_403, "entry", "entries")).toBe("12,403 entries");
});
