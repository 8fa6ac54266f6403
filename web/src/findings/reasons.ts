// Why a person confirms, rejects or resolves a finding: a chosen reason, own words, or both. Plain.

import type { FindingGroup, ReviewVerdict } from "../api/findings";

export const REASON_MOST = 500; // characters, as the server takes

export const REASONS = ["seen", "heard", "reported", "not_so", "misheard", "ordinary", "handling", "test", "fixed", "told", "passed"] as const;
export type Reason = (typeof REASONS)[number];

const OF_VERDICT: Readonly<Record<ReviewVerdict, readonly Reason[]>> = {
  confirmed: ["seen", "heard", "reported"],
  rejected: ["not_so", "misheard", "ordinary", "handling", "test"],
  resolved: ["fixed", "told", "passed"],
};
const NOT_OF_GROUP: Readonly<Record<FindingGroup, readonly Reason[]>> = { integrity: ["misheard"], sound: [], conduct: ["handling"], procedure: ["handling"] };

/** Those that can be meant, in the order in which they are offered. */
export function reasonsFor(verdict: ReviewVerdict, group: FindingGroup): readonly Reason[] {
  return OF_VERDICT[verdict].filter((reason) => !(NOT_OF_GROUP[group] ?? []).includes(reason));
}

/** The reason as it is kept; "": none was given. `chosen`: its words, "" for none. */
export function reasonText(chosen: string, typed: string): string {
  return [chosen, typed.trim()].filter((part) => part !== "").join("：");
}

export type ReasonDraft = "empty" | "over" | "good";

export function draftOf(reason: string): ReasonDraft {
  if (reason === "") return "empty";
  return [...reason].length > REASON_MOST ? "over" : "good";
}
