// How often a rule was right, as its reviews tell. Plain arithmetic of what the server says.

import type { RuleRecord } from "../api/findings";

export const REVIEWED_LEAST = 5; // fewer reviews say nothing about a rule
export const ALARMS_MOST = 1; // in 10 minutes, that one person can take. Source: EEMUA 191

/** In whole percent: the share that was confirmed, and the interval around it; null: too few were reviewed. */
export interface Precision {
  readonly percent: number;
  readonly low: number;
  readonly high: number;
  readonly reviewed: number;
}

type Reviewed = Pick<RuleRecord, "confirmed" | "rejected" | "precision" | "precision_low" | "precision_high">;

export function precisionOf({ confirmed, rejected, precision, precision_low, precision_high }: Reviewed): Precision | null {
  const reviewed = confirmed + rejected;
  if (reviewed < REVIEWED_LEAST || precision === null || precision_low === null || precision_high === null) return null;
  return { percent: Math.round(precision * 100), low: Math.round(precision_low * 100), high: Math.round(precision_high * 100), reviewed };
}

/** name and version of "name@version". */
export function ruleParts(rule: string): { readonly name: string; readonly version: string } {
  const at = rule.lastIndexOf("@");
  return at < 0 ? { name: rule, version: "" } : { name: rule.slice(0, at), version: rule.slice(at + 1) };
}
