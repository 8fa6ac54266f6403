// What the header says about captions and findings: why there are none, and how far they may be trusted. Plain choice; no words yet.

import type { AnalysisState } from "../api/captions";
import type { TextKey } from "../texts/language";

const BEHIND_S = 3; // less is the time that listening takes

export interface CaptionNote {
  readonly key: TextKey;
  readonly values: Readonly<Record<string, string | number>>;
  readonly isGrave: boolean; // words are missing or may not be relied on
}

/** `isBroken`: the connection is away for longer than a moment. */
export function notesOf(analysis: AnalysisState | null, isBroken: boolean): CaptionNote[] {
  if (isBroken) return [{ key: "caption.broken", values: {}, isGrave: true }];
  const speech = analysis?.stages.find(({ stage }) => stage === "speech");
  if (analysis === null || speech === undefined) return [];
  if (!speech.is_on) return [{ key: "caption.off", values: { why: speech.why }, isGrave: true }];
  const notes: CaptionNote[] = [];
  if (speech.is_demo) notes.push({ key: "caption.demo", values: {}, isGrave: true });
  if (analysis.step !== "whole") notes.push({ key: `caption.step.${analysis.step}`, values: {}, isGrave: analysis.step === "gaps" });
  if (analysis.behind_s >= BEHIND_S) notes.push({ key: "caption.behind", values: { n: Math.round(analysis.behind_s) }, isGrave: false });
  return notes;
}

/** Of findings, where nothing on a tile does not mean that nothing is wrong. */
export function findingNotesOf(analysis: AnalysisState | null, isBroken: boolean): CaptionNote[] {
  if (isBroken) return [{ key: "wallFinding.broken", values: {}, isGrave: true }];
  const signal = analysis?.stages.find(({ stage }) => stage === "signal");
  return signal === undefined || signal.is_on ? [] : [{ key: "wallFinding.off", values: { why: signal.why }, isGrave: true }];
}
