// The routes of findings and of the rules that made them. Shapes: docs/api; anything else the server says is ignored.

import type { Page } from "./cases";
import { ask } from "./server";

export const SEVERITIES = ["critical", "high", "medium", "low"] as const; // the worst first
export type Severity = (typeof SEVERITIES)[number];
export const FINDING_GROUPS = ["integrity", "sound", "conduct", "procedure"] as const;
export type FindingGroup = (typeof FINDING_GROUPS)[number];
export const FINDING_STATES = ["new", "confirmed", "rejected", "resolved"] as const;
export type FindingState = (typeof FINDING_STATES)[number];
export type ReviewVerdict = Exclude<FindingState, "new">;

/** What is open on a stream now, as the wall hears of it. */
export interface OpenFinding {
  readonly finding_id: string;
  readonly finding: string;
  readonly group: FindingGroup;
  readonly severity: Severity;
  readonly raised_at: string;
  readonly explanation: string; // empty for who may not read the words in it
}

/** All of what is open, by the stream; a stream that is not named has nothing open. */
export interface OpenFindings {
  readonly streams: Readonly<Record<string, readonly OpenFinding[]>>;
}

/** Seconds of a recording. */
export interface Clip {
  readonly recording_id: string;
  readonly start_s: number;
  readonly end_s: number;
}

export interface Review {
  readonly verdict: ReviewVerdict;
  readonly reason: string;
  readonly by_name: string;
  readonly at: string;
}

export interface Finding extends OpenFinding {
  readonly confidence: number; // 0..1, not calibrated
  readonly state: FindingState;
  readonly is_open: boolean;
  readonly ended_at: string | null;
  readonly end_reason: string;
  readonly stream_id: string;
  readonly device_name: string;
  readonly officer: string | null;
  readonly case_ids: readonly string[];
  readonly rule: string; // name@version
  readonly measures: Readonly<Record<string, number>>;
  readonly quotes: readonly string[];
  readonly of_events: readonly string[];
  readonly media: Clip | null;
  readonly review: Review | null;
  readonly similar: number; // others that are folded into this one
  readonly is_evidence: boolean;
}

/** "": all of them. */
export interface FindingFilter {
  readonly state: FindingState | "";
  readonly group: FindingGroup | "";
  readonly severity: Severity | "";
  readonly isOpenOnly: boolean;
  readonly streamId: string;
}

export interface RuleRecord {
  readonly rule: string; // name@version
  readonly kind: "duty" | "conduct" | "signal";
  readonly finding_or_duty: string;
  readonly zh: string;
  readonly en: string;
  readonly severity: Severity;
  readonly law: LawRef | null;
  readonly raised: number;
  readonly confirmed: number;
  readonly rejected: number;
  readonly precision: number | null;
  readonly precision_low: number | null;
  readonly precision_high: number | null;
}

export interface LawRef {
  readonly name: string;
  readonly article: string;
}

export interface RuleRecords {
  readonly version: string;
  readonly label: string;
  readonly refusal: string; // why the files that lie there now are not in force; empty: they are
  readonly items: readonly RuleRecord[];
  readonly alarms_per_10_min: number; // grave ones in the last hour, for each person who watches
}

const PAGE = 50;

/** The newest first; similar ones of one stream folded into one. */
export async function listFindings(filter: FindingFilter, cursor: string | null, signal: AbortSignal): Promise<Page<Finding>> {
  const query = new URLSearchParams({ limit: String(PAGE), fold: "true" });
  for (const name of ["state", "group", "severity"] as const) if (filter[name] !== "") query.set(name, filter[name]);
  if (filter.isOpenOnly) query.set("open", "true");
  if (filter.streamId !== "") query.set("stream_id", filter.streamId);
  if (cursor !== null) query.set("cursor", cursor);
  return (await ask("GET", `/api/v1/findings?${query}`, { signal })) as Page<Finding>;
}

/** Those of one stream and kind, each by itself. */
export async function listAlike({ stream_id, finding }: Finding, signal: AbortSignal): Promise<readonly Finding[]> {
  const query = new URLSearchParams({ limit: "200", stream_id, finding });
  return ((await ask("GET", `/api/v1/findings?${query}`, { signal })) as Page<Finding>).items;
}

export async function reviewFinding(findingId: string, verdict: ReviewVerdict, reason: string): Promise<Finding> {
  return (await ask("POST", `/api/v1/findings/${encodeURIComponent(findingId)}/review`, { body: { verdict, reason } })) as Finding;
}

export async function readRules(): Promise<RuleRecords> {
  return (await ask("GET", "/api/v1/rules")) as RuleRecords;
}
