import { expect, test } from "vitest";
import type { AnalysisState, StageState } from "../api/captions";
import { findingNotesOf, notesOf } from "./captionNotes";

const speech = (change: Partial<StageState>): StageState => ({ stage: "speech", is_on: true, why: "", is_demo: false, ...change });
const state = (change: Partial<AnalysisState>): AnalysisState => ({ stages: [speech({})], step: "whole", behind_s: 0.8, ...change });
const keys = (analysis: AnalysisState | null, isBroken = false): string[] => notesOf(analysis, isBroken).map(({ key }) => key);

test("captions in time by a proper model need no words", () => {
  expect(keys(state({}))).toEqual([]);
});

test("speech that is off is told with the server's reason, and nothing else is", () => {
  const off = state({ stages: [speech({ is_on: false, why: "没有模型", is_demo: true })], step: "gaps", behind_s: 40 });
  expect(notesOf(off, false)).toEqual([{ key: "caption.off", values: { why: "没有模型" }, isGrave: true }]);
});

test("a demo model is told always, and so are load and delay", () => {
  const heavy = state({ stages: [speech({ is_demo: true })], step: "small_model", behind_s: 12.4 });
  expect(keys(heavy)).toEqual(["caption.demo", "caption.step.small_model", "caption.behind"]);
  expect(notesOf(heavy, false).at(-1)?.values).toEqual({ n: 12 });
});

test("the time that listening takes is no delay", () => {
  expect(keys(state({ behind_s: 2.9 }))).toEqual([]);
  expect(keys(state({ behind_s: 3 }))).toEqual(["caption.behind"]);
});

test("while the connection is away nothing older is told", () => {
  expect(keys(state({ behind_s: 12 }), true)).toEqual(["caption.broken"]);
});

test("a server that has not told its state, or has no speech stage, is not spoken for", () => {
  expect(keys(null)).toEqual([]);
  expect(keys(state({ stages: [speech({ stage: "faces", is_on: false, why: "x" })] }))).toEqual([]);
});

test("where pictures and sound are not watched, or the connection is away, an empty tile is no good sign, and that is told", () => {
  const signal = (is_on: boolean) => state({ stages: [speech({}), speech({ stage: "signal", is_on, why: "没有启用" })] });
  expect(findingNotesOf(signal(true), false)).toEqual([]);
  expect(findingNotesOf(signal(false), false)).toEqual([{ key: "wallFinding.off", values: { why: "没有启用" }, isGrave: true }]);
  expect(findingNotesOf(signal(true), true).map(({ key }) => key)).toEqual(["wallFinding.broken"]);
  expect(findingNotesOf(null, false)).toEqual([]);
});
