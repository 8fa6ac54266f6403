// Which of several findings stands for them, and how those of one tile are told. Plain lists.

import { SEVERITIES, type OpenFinding, type Severity } from "../api/findings";

const RANK = new Map<string, number>(SEVERITIES.map((severity, i) => [severity, i]));

/** 0: the worst. One that this page does not know comes last. */
export const rankOf = (severity: string): number => RANK.get(severity) ?? SEVERITIES.length;

/** Critical or high: for somebody to look at now. */
export const isGrave = (severity: Severity): boolean => severity === "critical" || severity === "high";

/** The worst first; of like ones the newest. */
export function worstFirst<Found extends OpenFinding>(findings: readonly Found[]): readonly Found[] {
  return [...findings].sort((a, b) => rankOf(a.severity) - rankOf(b.severity) || Date.parse(b.raised_at) - Date.parse(a.raised_at));
}

/** What a tile shows: the worst, how many more, and how many duties of the running step are missing. */
export interface TileFindings {
  readonly worst: OpenFinding | null;
  readonly more: number;
  readonly missing: readonly OpenFinding[];
}

/** A missing duty is for the officer's guide, and one more of many: it is counted, and never hides what happens. */
export function tileFindings(findings: readonly OpenFinding[]): TileFindings {
  const missing = findings.filter(({ group }) => group === "procedure");
  const [worst = null, ...more] = worstFirst(findings.filter(({ group }) => group !== "procedure"));
  return { worst, more: more.length, missing };
}
