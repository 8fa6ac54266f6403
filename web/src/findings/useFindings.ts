// The findings of one filter in hand: the newest at first, older ones as asked for, and the newest again while someone looks.

import { onBeforeUnmount, onMounted, ref, shallowRef, watch, type Ref } from "vue";
import { listAlike, listFindings, reviewFinding, type Finding, type FindingFilter, type ReviewVerdict } from "../api/findings";
import { useActs } from "../people/useActs";
import { foldedInto, refreshed, replaced } from "./inHand";

const EVERY_MS = 5_000;

/** `isHeld`: the reader is writing; the list stands still. */
export function useFindings(filter: Ref<FindingFilter>, isHeld: () => boolean, onExpired: () => void) {
  const items = shallowRef<readonly Finding[]>([]);
  const cursor = ref<string | null>(null);
  const isLoading = ref(true);
  const reviewed = new Set<string>(); // here, since the filter was chosen
  const { isBusy, told, run } = useActs(onExpired);
  let reading = new AbortController();
  let timer = 0;

  async function readAnew(): Promise<void> {
    reading.abort();
    reading = new AbortController();
    const { signal } = reading;
    reviewed.clear();
    isLoading.value = true;
    await run(async () => {
      const page = await listFindings(filter.value, null, signal).catch(unlessLeft(signal));
      if (page === null) return;
      items.value = page.items;
      cursor.value = page.next_cursor;
    });
    if (!signal.aborted) isLoading.value = false;
  }

  async function readOlder(): Promise<void> {
    const { signal } = reading;
    await run(async () => {
      const page = await listFindings(filter.value, cursor.value, signal).catch(unlessLeft(signal));
      if (page === null) return;
      const known = new Set(items.value.map(({ finding_id }) => finding_id));
      items.value = [...items.value, ...page.items.filter(({ finding_id }) => !known.has(finding_id))];
      cursor.value = page.next_cursor;
    });
  }

  /** Quietly: what fails here is tried again soon. */
  async function look(): Promise<void> {
    if (document.hidden || isHeld() || isLoading.value || isBusy.value) return;
    const { signal } = reading;
    const page = await listFindings(filter.value, null, signal).catch(() => null);
    if (page === null || signal.aborted || isHeld() || isBusy.value) return;
    const isWhole = page.next_cursor === null;
    items.value = refreshed(items.value, page.items, isWhole, reviewed);
    if (isWhole) cursor.value = null;
  }

  /** The finding as it is then, and where `isForAlike` those folded into it; none: it was not done. */
  async function review(finding: Finding, verdict: ReviewVerdict, reason: string, isForAlike: boolean): Promise<readonly Finding[]> {
    const changed: Finding[] = [];
    await run(async () => {
      const alike = isForAlike ? foldedInto(finding, await listAlike(finding, reading.signal)) : [];
      for (const each of [finding, ...alike]) {
        const now = await reviewFinding(each.finding_id, verdict, reason);
        changed.push(now);
        reviewed.add(now.finding_id);
        items.value = replaced(items.value, now);
      }
    });
    return changed;
  }

  watch(filter, () => void readAnew());
  onMounted(() => {
    void readAnew();
    timer = window.setInterval(() => void look(), EVERY_MS);
  });
  onBeforeUnmount(() => {
    window.clearInterval(timer);
    reading.abort();
  });

  return { items, cursor, isLoading, isBusy, told, readAnew, readOlder, review };
}

/** An answer that nobody waits for any more is none. */
function unlessLeft(signal: AbortSignal): (error: unknown) => null {
  return (error) => {
    if (signal.aborted) return null;
    throw error;
  };
}
