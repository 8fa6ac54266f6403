// The findings of one filter in hand, and what a person says of them.

import type { Ref } from "vue";
import { listAlike, listFindings, reviewFinding, type Finding, type FindingFilter, type ReviewVerdict } from "../api/findings";
import { FINDINGS, foldedInto } from "./inHand";
import { useListInHand } from "./useListInHand";

/** `isHeld`: the reader is writing; the list stands still. */
export function useFindings(filter: Ref<FindingFilter>, isHeld: () => boolean, onExpired: () => void) {
  const { run, keep, signalOf, ...list } = useListInHand(FINDINGS, filter, (cursor, signal) => listFindings(filter.value, cursor, signal), isHeld, onExpired);

  /** The finding as it is then, and where `isForAlike` those folded into it; none: it was not done. */
  async function review(finding: Finding, verdict: ReviewVerdict, reason: string, isForAlike: boolean): Promise<readonly Finding[]> {
    const changed: Finding[] = [];
    await run(async () => {
      const alike = isForAlike ? foldedInto(finding, await listAlike(finding, signalOf())) : [];
      for (const each of [finding, ...alike]) {
        const now = await reviewFinding(each.finding_id, verdict, reason);
        changed.push(now);
        keep(now);
      }
    });
    return changed;
  }

  return { ...list, review };
}
