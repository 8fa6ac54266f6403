import { expect, test } from "vitest";
import type { RuleRecord } from "../api/findings";
import { precisionOf, ruleParts } from "./precision";

const record = (change: Partial<RuleRecord>): RuleRecord => ({
  rule: "pictures.frozen@0a1b2c3d", kind: "signal", finding_or_duty: "frozen", zh: "画面冻结", en: "Frozen", severity: "high", law: null,
  raised: 9, confirmed: 4, rejected: 1, precision: 0.8, precision_low: 0.376, precision_high: 0.964, ...change,
});

test("a rule's precision is told with its interval and its number", () => {
  expect(precisionOf(record({}))).toEqual({ percent: 80, low: 38, high: 96, reviewed: 5 });
});

test("under five reviews nothing is told, whatever the server computed", () => {
  expect(precisionOf(record({ confirmed: 4, rejected: 0, precision: 1 }))).toBeNull();
  expect(precisionOf(record({ precision_low: null }))).toBeNull();
});

test("a rule is a name and a version", () => {
  expect(ruleParts("pictures.frozen@0a1b2c3d")).toEqual({ name: "pictures.frozen", version: "0a1b2c3d" });
  expect(ruleParts("odd")).toEqual({ name: "odd", version: "" });
});
