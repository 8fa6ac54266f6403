// What is said and noticed in the streams, as it happens: one connection for the whole wall. Nothing is resumed: it is of now.

import type { Message } from "./eventStream";
import type { OpenFindings } from "./findings";
import { browserTail, type TailWorld } from "./tail";

const SILENT_MOST_MS = 25_000; // the server says something at least every 10 s

export type Speaker = "wearer" | "other" | "unknown";

export interface Caption {
  readonly stream_id: string;
  readonly utterance: number;
  readonly start_s: number;
  readonly end_s: number;
  readonly text: string; // empty: nothing was said after all
  readonly settled: number; // code points from the start that no later hypothesis changes
  readonly is_final: boolean;
  readonly late_s: number; // how long after it was said
  readonly speaker: Speaker;
}

export interface StageState {
  readonly stage: string;
  readonly is_on: boolean;
  readonly why: string; // a plain sentence when it is off
  readonly is_demo: boolean;
}

/** How far the analysis is eased: each step does less than the one before. */
export type AnalysisStep = "whole" | "no_partials" | "long_batches" | "small_model" | "gaps";

export interface AnalysisState {
  readonly stages: readonly StageState[];
  readonly step: AnalysisStep;
  readonly behind_s: number;
}

export interface CaptionEars {
  onCaption: (caption: Caption) => void;
  onAnalysis: (state: AnalysisState) => void;
  onFindings: (open: OpenFindings) => void; // the whole of what is open, at first and whenever it changes
}

/** Gives a message to the ear it is for; one of a kind that this page does not know is passed over. */
export function hearCaptions(message: Message, ears: CaptionEars): void {
  if (message.event === "caption") ears.onCaption(JSON.parse(message.data) as Caption);
  else if (message.event === "analysis") ears.onAnalysis(JSON.parse(message.data) as AnalysisState);
  else if (message.event === "findings") ears.onFindings(JSON.parse(message.data) as OpenFindings);
}

/** Of every stream that this person watches. */
export function captionTail(): TailWorld {
  return browserTail("/api/v1/captions", SILENT_MOST_MS);
}
