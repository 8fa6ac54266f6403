// The suggestions of one filter in hand: the newest at first, older ones as asked for, and the newest again while someone looks.

import { onBeforeUnmount, onMounted, ref, shallowRef, watch, type Ref } from "vue";
import { giveOpinion, listSuggestions, type OpinionVerdict, type Suggestion, type SuggestionFilter } from "../api/faces";
import { refreshedAs, type Listed } from "../findings/inHand";
import { useActs } from "../people/useActs";

const EVERY_MS = 5_000;

export const SUGGESTIONS: Listed<Suggestion> = { idOf: ({ suggestion_id }) => suggestion_id, atOf: ({ at }) => at };

/** `isHeld`: the reader is writing; the list stands still. */
export function useSuggestions(state: Ref<SuggestionFilter>, caseId: string, isHeld: () => boolean, onExpired: () => void) {
  const items = shallowRef<readonly Suggestion[]>([]);
  const cursor = ref<string | null>(null);
  const isLoading = ref(true);
  const judged = new Set<string>(); // here, since the filter was chosen
  const { isBusy, told, run } = useActs(onExpired);
  let reading = new AbortController();
  let timer = 0;

  async function readAnew(): Promise<void> {
    reading.abort();
    reading = new AbortController();
    const { signal } = reading;
    judged.clear();
    isLoading.value = true;
    await run(async () => {
      const page = await listSuggestions(state.value, caseId, null, signal).catch(unlessLeft(signal));
      if (page === null) return;
      items.value = page.items;
      cursor.value = page.next_cursor;
    });
    if (!signal.aborted) isLoading.value = false;
  }

  async function readOlder(): Promise<void> {
    const { signal } = reading;
    await run(async () => {
      const page = await listSuggestions(state.value, caseId, cursor.value, signal).catch(unlessLeft(signal));
      if (page === null) return;
      const known = new Set(items.value.map(({ suggestion_id }) => suggestion_id));
      items.value = [...items.value, ...page.items.filter(({ suggestion_id }) => !known.has(suggestion_id))];
      cursor.value = page.next_cursor;
    });
  }

  /** Quietly: what fails here is tried again soon. */
  async function look(): Promise<void> {
    if (document.hidden || isHeld() || isLoading.value || isBusy.value) return;
    const { signal } = reading;
    const page = await listSuggestions(state.value, caseId, null, signal).catch(() => null);
    if (page === null || signal.aborted || isHeld() || isBusy.value) return;
    const isWhole = page.next_cursor === null;
    items.value = refreshedAs(SUGGESTIONS, items.value, page.items, isWhole, judged);
    if (isWhole) cursor.value = null;
  }

  /** The suggestion as it is then; null: the opinion was not taken. */
  async function judge(suggestionId: string, verdict: OpinionVerdict, reason: string): Promise<Suggestion | null> {
    let now: Suggestion | null = null;
    await run(async () => {
      const told = await giveOpinion(suggestionId, verdict, reason);
      judged.add(suggestionId);
      items.value = items.value.map((each) => (each.suggestion_id === suggestionId ? told : each));
      now = told;
    });
    return now;
  }

  watch(state, () => void readAnew());
  onMounted(() => {
    void readAnew();
    timer = window.setInterval(() => void look(), EVERY_MS);
  });
  onBeforeUnmount(() => {
    window.clearInterval(timer);
    reading.abort();
  });

  return { items, cursor, isLoading, isBusy, told, readAnew, readOlder, judge };
}

/** An answer that nobody waits for any more is none. */
function unlessLeft(signal: AbortSignal): (error: unknown) => null {
  return (error) => {
    if (signal.aborted) return null;
    throw error;
  };
}
