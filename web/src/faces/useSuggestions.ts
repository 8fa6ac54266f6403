// The suggestions of one filter in hand, and one's own answer to them.

import type { Ref } from "vue";
import { giveOpinion, listSuggestions, type OpinionVerdict, type Suggestion, type SuggestionFilter } from "../api/faces";
import type { Listed } from "../findings/inHand";
import { useListInHand } from "../findings/useListInHand";

export const SUGGESTIONS: Listed<Suggestion> = { idOf: ({ suggestion_id }) => suggestion_id, atOf: ({ at }) => at };

/** `isHeld`: the reader is writing; the list stands still. */
export function useSuggestions(state: Ref<SuggestionFilter>, caseId: string, isHeld: () => boolean, onExpired: () => void) {
  const { run, keep, signalOf: _, ...list } = useListInHand(SUGGESTIONS, state, (cursor, signal) => listSuggestions(state.value, caseId, cursor, signal), isHeld, onExpired);

  /** The suggestion as it is then; null: the opinion was not taken. */
  async function judge(suggestionId: string, verdict: OpinionVerdict, reason: string): Promise<Suggestion | null> {
    let now: Suggestion | null = null;
    await run(async () => {
      const told = await giveOpinion(suggestionId, verdict, reason);
      keep(told);
      now = told;
    });
    return now;
  }

  return { ...list, judge };
}
