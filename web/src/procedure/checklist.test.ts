import { expect, test } from "vitest";
import type { Duty, Procedure, ProcedureStep } from "../api/procedure";
import { changesOf, countsOf, leftS, missingOf, newVerdicts, stepsInOrder } from "./checklist";

const NOON = Date.UTC(2026, 10, 24, 4);
const duty = (change: Partial<Duty>): Duty => ({
  duty: "identity_stated", zh: "表明身份", en: "State who one is", law: null, is_required: true, severity: "high", verdict: null, judged_at: null, confidence: null, coverage: null,
  deadline_at: null, rule: "identity_stated@0a1b2c3d", why: "", quotes: [], notes: [], media: null, history: [], ...change,
});
const step = (step_id: string, hour: number, duties: readonly Duty[], is_running = true): ProcedureStep => ({
  step_id, kind: "inspection", started_at: new Date(Date.UTC(2026, 10, 24, hour)).toISOString(), ended_at: null, is_running, duties,
});

test("the running step stands on top, then the others with the newest first", () => {
  const steps = [step("old", 1, [], false), step("runs", 2, []), step("late", 3, [], false), step("runs too", 4, [])];
  expect(stepsInOrder({ ruleset: { version: "", label: "" }, steps }).map(({ step_id }) => step_id)).toEqual(["runs too", "runs", "late", "old"]);
});

test("duties are counted by their verdict, an open one as open", () => {
  const duties = [duty({ verdict: "observed" }), duty({ verdict: "not_observed" }), duty({}), duty({ verdict: "cannot_tell" }), duty({ verdict: "observed" })];
  expect(countsOf(step("s", 1, duties))).toEqual({ observed: 2, not_observed: 1, cannot_tell: 1, open: 1 });
});

test("missing is what is required, was not seen in time, and can still be made good in a running step", () => {
  const duties = [duty({ duty: "a", verdict: "not_observed" }), duty({ duty: "b", verdict: "not_observed", is_required: false }), duty({ duty: "c" }), duty({ duty: "d", verdict: "cannot_tell" })];
  expect(missingOf(step("s", 1, duties)).map((each) => each.duty)).toEqual(["a"]);
  expect(missingOf(step("s", 1, duties, false))).toEqual([]);
});

test("the time left to a deadline is told while the duty is open, and never below nothing", () => {
  const deadline_at = new Date(NOON + 42_500).toISOString();
  expect(leftS(duty({ deadline_at }), NOON)).toBe(43);
  expect(leftS(duty({ deadline_at }), NOON + 60_000)).toBe(0);
  expect(leftS(duty({ deadline_at, verdict: "observed" }), NOON)).toBeNull();
  expect(leftS(duty({}), NOON)).toBeNull();
});

test("a newer rule that says the same is no change", () => {
  const judged = (verdict: Duty["verdict"], version: string) => ({ verdict, rule: `identity_stated@${version}` });
  const changes = [
    { step_id: "s", duty: "a", before: judged("not_observed", "1"), after: judged("observed", "2") },
    { step_id: "s", duty: "b", before: judged("observed", "1"), after: judged("observed", "2") },
    { step_id: "t", duty: "c", before: null, after: judged("observed", "2") },
  ];
  expect(changesOf(changes, "s").map((each) => each.duty)).toEqual(["a"]);
  expect(changesOf(changes, "t")).toHaveLength(1);
});

test("what was judged since the last look is told, at the first look nothing", () => {
  const before: Procedure = { ruleset: { version: "", label: "" }, steps: [step("s", 1, [duty({ duty: "a" }), duty({ duty: "b", verdict: "observed" })])] };
  const after: Procedure = { ...before, steps: [step("s", 1, [duty({ duty: "a", verdict: "observed" }), duty({ duty: "b", verdict: "observed" })]), step("t", 2, [duty({ verdict: "observed" })])] };
  expect(newVerdicts(before, after).map((each) => each.duty)).toEqual(["a"]);
  expect(newVerdicts(null, after)).toEqual([]);
});
