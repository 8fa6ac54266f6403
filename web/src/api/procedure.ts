// The routes of the procedure of a case: what the law demands of each step, and what was seen of it. Shapes: docs/api.

import type { Clip, LawRef, Severity } from "./findings";
import { ask } from "./server";

export type Verdict = "observed" | "not_observed" | "cannot_tell";

export interface Law extends LawRef {
  readonly text: string;
}

export interface PastVerdict {
  readonly verdict: Verdict;
  readonly rule: string; // name@version
  readonly judged_at: string;
  readonly why: string;
}

export interface Duty {
  readonly duty: string;
  readonly zh: string;
  readonly en: string;
  readonly law: Law | null;
  readonly is_required: boolean;
  readonly severity: Severity;
  readonly verdict: Verdict | null; // null: still open
  readonly judged_at: string | null;
  readonly confidence: number | null; // 0..1, not calibrated
  readonly coverage: number | null; // 0..1 of the window that was heard well
  readonly deadline_at: string | null; // null: as long as the step lasts
  readonly rule: string;
  readonly why: string;
  readonly quotes: readonly string[];
  readonly notes: readonly string[]; // "late", "out_of_order", "by_unknown_speaker"
  readonly media: Clip | null;
  readonly history: readonly PastVerdict[]; // what was judged before
}

export interface ProcedureStep {
  readonly step_id: string;
  readonly kind: string;
  readonly started_at: string;
  readonly ended_at: string | null;
  readonly is_running: boolean;
  readonly duties: readonly Duty[];
}

export interface Procedure {
  readonly ruleset: { readonly version: string; readonly label: string };
  readonly steps: readonly ProcedureStep[];
}

export interface Judged {
  readonly verdict: Verdict | null;
  readonly rule: string;
}

export interface Change {
  readonly step_id: string;
  readonly duty: string;
  readonly before: Judged | null;
  readonly after: Judged | null;
}

/** What judging again brought. Nothing was taken back: earlier verdicts are in the history. */
export interface JudgedAgain {
  readonly version: string;
  readonly changed: readonly Change[];
  readonly findings: { readonly raised: number; readonly unchanged: number; readonly not_raised_now: number };
}

const under = (caseId: string): string => `/api/v1/cases/${encodeURIComponent(caseId)}`;

export async function readProcedure(caseId: string, signal: AbortSignal): Promise<Procedure> {
  return (await ask("GET", `${under(caseId)}/procedure`, { signal })) as Procedure;
}

export async function judgeAgain(caseId: string): Promise<JudgedAgain> {
  return (await ask("POST", `${under(caseId)}/judgements`)) as JudgedAgain;
}
