// A step's checklist: which step stands first, how its duties are ordered and counted, and how long one is still open.

import type { Change, Duty, Procedure, ProcedureStep, Verdict } from "../api/procedure";

export type Standing = Verdict | "open";
export const STANDINGS = ["not_observed", "cannot_tell", "open", "observed"] as const satisfies readonly Standing[]; // what needs somebody first

export const standingOf = ({ verdict }: Pick<Duty, "verdict">): Standing => verdict ?? "open";

/** Those that run, the newest of them first; then the others, the newest first. */
export function stepsInOrder({ steps }: Procedure): readonly ProcedureStep[] {
  return [...steps].sort((a, b) => Number(b.is_running) - Number(a.is_running) || Date.parse(b.started_at) - Date.parse(a.started_at));
}

export function countsOf({ duties }: ProcedureStep): Readonly<Record<Standing, number>> {
  const counts = { not_observed: 0, cannot_tell: 0, open: 0, observed: 0 };
  for (const duty of duties) counts[standingOf(duty)] += 1;
  return counts;
}

/** Required duties of a running step that were not seen in time: what the guide must say to the officer. */
export function missingOf({ is_running, duties }: ProcedureStep): readonly Duty[] {
  return is_running ? duties.filter(({ is_required, verdict }) => is_required && verdict === "not_observed") : [];
}

/** Seconds until the duty is late, on the server's clock, 0 from then on; null: it is not open, or has no time of its own. */
export function leftS({ verdict, deadline_at }: Pick<Duty, "verdict" | "deadline_at">, serverMs: number): number | null {
  if (verdict !== null || deadline_at === null) return null;
  return Math.max(0, Math.ceil((Date.parse(deadline_at) - serverMs) / 1000));
}

/** The changes of one step; those that have no difference in the verdict are a newer rule that says the same. */
export function changesOf(changes: readonly Change[], stepId: string): readonly Change[] {
  return changes.filter(({ step_id, before, after }) => step_id === stepId && (before?.verdict ?? null) !== (after?.verdict ?? null));
}

/** What was judged between two looks, for whoever hears the page instead of seeing it. */
export function newVerdicts(before: Procedure | null, after: Procedure): readonly Duty[] {
  if (before === null) return [];
  const keyOf = (step: ProcedureStep, { duty }: Duty): string => `${step.step_id} ${duty}`;
  const known = new Map(before.steps.flatMap((step) => step.duties.map((duty) => [keyOf(step, duty), duty.verdict] as const)));
  return after.steps.flatMap((step) => step.duties.filter((duty) => duty.verdict !== null && known.has(keyOf(step, duty)) && known.get(keyOf(step, duty)) !== duty.verdict));
}
