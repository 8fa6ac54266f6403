// A list in hand: the newest at first, older ones as asked for, and the newest again while someone looks.

import { onBeforeUnmount, onMounted, ref, shallowRef, watch, type WatchSource } from "vue";
import type { Page } from "../api/cases";
import { useActs } from "../people/useActs";
import { refreshedAs, replacedAs, type Listed } from "./inHand";

const EVERY_MS = 5_000;

/** `list`: a page of it, the first where the cursor is null. `filter`: where it changes, all is read anew. `isHeld`: the reader is writing; the list stands still. */
export function useListInHand<Thing>(
  listed: Listed<Thing>, filter: WatchSource, list: (cursor: string | null, signal: AbortSignal) => Promise<Page<Thing>>, isHeld: () => boolean, onExpired: () => void,
) {
  const items = shallowRef<readonly Thing[]>([]);
  const cursor = ref<string | null>(null);
  const isLoading = ref(true);
  const kept = new Set<string>(); // what was judged here, since the filter was chosen
  const { isBusy, told, run } = useActs(onExpired);
  let reading = new AbortController();
  let timer = 0;

  async function readAnew(): Promise<void> {
    reading.abort();
    reading = new AbortController();
    const { signal } = reading;
    kept.clear();
    isLoading.value = true;
    await run(async () => {
      const page = await list(null, signal).catch(unlessLeft(signal));
      if (page === null) return;
      items.value = page.items;
      cursor.value = page.next_cursor;
    });
    if (!signal.aborted) isLoading.value = false;
  }

  async function readOlder(): Promise<void> {
    const { signal } = reading;
    await run(async () => {
      const page = await list(cursor.value, signal).catch(unlessLeft(signal));
      if (page === null) return;
      const known = new Set(items.value.map(listed.idOf));
      items.value = [...items.value, ...page.items.filter((each) => !known.has(listed.idOf(each)))];
      cursor.value = page.next_cursor;
    });
  }

  /** Quietly: what fails here is tried again soon. */
  async function look(): Promise<void> {
    if (document.hidden || isHeld() || isLoading.value || isBusy.value) return;
    const { signal } = reading;
    const page = await list(null, signal).catch(() => null);
    if (page === null || signal.aborted || isHeld() || isBusy.value) return;
    const isWhole = page.next_cursor === null;
    items.value = refreshedAs(listed, items.value, page.items, isWhole, kept);
    if (isWhole) cursor.value = null;
  }

  /** It was judged here: it stays where it is, as it is now. */
  function keep(now: Thing): void {
    kept.add(listed.idOf(now));
    items.value = replacedAs(listed, items.value, now);
  }

  /** Ends what this list reads; for what else is asked on its behalf. */
  const signalOf = (): AbortSignal => reading.signal;

  watch(filter, () => void readAnew());
  onMounted(() => {
    void readAnew();
    timer = window.setInterval(() => void look(), EVERY_MS);
  });
  onBeforeUnmount(() => {
    window.clearInterval(timer);
    reading.abort();
  });

  return { items, cursor, isLoading, isBusy, told, run, readAnew, readOlder, keep, signalOf };
}

/** An answer that nobody waits for any more is none. */
function unlessLeft(signal: AbortSignal): (error: unknown) => null {
  return (error) => {
    if (signal.aborted) return null;
    throw error;
  };
}
