import { expect, it } from "vitest";
import { moved, parseColumns, toggled } from "./columnSettings";
import { columnsFor, widthOf } from "./columns";

const keys = (chosen: readonly string[] | null, width: number) =>
  columnsFor(chosen, width).map(({ key }) => key);

it("lets columns give way in a narrow window, never the name or the blocks", () => {
  expect(keys(null, 1228)).toHaveLength(9);
  expect(widthOf(columnsFor(null, 797))).toBeLessThanOrEqual(797);
  expect(keys(null, 300)).toEqual(["id", "name", "profile"]);
});

it("draws all columns that a person chose, in their order", () => {
  expect(keys(["size", "name", "role"], 100)).toEqual(["size", "name", "role"]);
});

it("reads what was stored, without columns that are no more, and with the name", () => {
  expect(parseColumns(null)).toBeNull();
  expect(parseColumns("size,gone,size,id")).toEqual(["name", "size", "id"]);
});

it("switches a column on at its usual place, and off", () => {
  expect(toggled(["id", "name", "size"], "rank")).toEqual(["id", "name", "rank", "size"]);
  expect(toggled(["id", "name", "size"], "id")).toEqual(["name", "size"]);
});

it("moves a column, at an end not at all", () => {
  expect(moved(["id", "name", "size"], "size", -1)).toEqual(["id", "size", "name"]);
  expect(moved(["id", "name", "size"], "size", 1)).toEqual(["id", "name", "size"]);
});
