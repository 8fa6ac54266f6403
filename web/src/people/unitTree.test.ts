import { expect, test } from "vitest";
import { asTree } from "./unitTree";

test("each unit stands below the one above it, whatever the order it came in", () => {
  const units = [{ name: "二组", parent: "东城所" }, { name: "东城所", parent: "市局" }, { name: "市局", parent: null }, { name: "西城所", parent: "市局" }];
  expect(asTree(units).map((each) => `${each.depth}${each.name}`)).toEqual(["0市局", "1东城所", "2二组", "1西城所"]);
});

test("a unit whose parent is not there stands at the top, and none is left out", () => {
  expect(asTree([{ name: "甲", parent: "无" }])).toEqual([{ name: "甲", parent: "无", depth: 0 }]);
  expect(asTree([])).toEqual([]);
});
