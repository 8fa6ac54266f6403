// The events of a case in hand: the newest at first, older ones as the reader goes up, new ones as they happen.

import { computed, onBeforeUnmount, onMounted, ref, shallowRef } from "vue";
import { readTimeline, tailUrl, type Page, type TimelineItem } from "../api/cases";
import type { Message } from "../api/eventStream";
import { Problem } from "../api/problem";
import { browserTail, followTail, type TailState } from "../api/tail";
import { GROUPS, KINDS, type Group } from "./kinds";
import { byTime, merged } from "./order";

const PAGE = 200; // events
const MOST = 50_000; // events in hand; past it no older ones are read, and the oldest make room for new ones
const SILENT_MOST_MS = 60_000;
const GATHER_MS = 200; // new events are shown together, so that a burst is drawn once

export type Filter = Exclude<Group, "other">;

/** onHeard: of which kinds the events are that just came, whatever the filters. */
export function useTimeline(caseId: string, onExpired: () => void, onHeard: (kinds: ReadonlySet<string>) => void) {
  const items = shallowRef<readonly TimelineItem[]>([]);
  const cursor = ref<string | null>(null);
  const isFull = ref(false);
  const isLoading = ref(true);
  const isLoadingOlder = ref(false);
  const problem = ref<unknown>(null);
  const tail = ref<TailState>("connecting");
  const news = ref(0); // events that came since the reader saw the end
  const filters = ref<ReadonlySet<Filter>>(new Set());
  const words = ref("");
  const kinds = computed(() => GROUPS.filter((group) => filters.value.has(group)).flatMap((group) => KINDS[group]));
  const leaving = new AbortController();
  const heardIds = new Set<string>(); // those counted in `news`
  let reading = new AbortController();
  let gathered: TimelineItem[] = [];
  let timer = 0;

  const ask = (from: string | null, signal: AbortSignal): Promise<Page<TimelineItem>> =>
    readTimeline(caseId, { kinds: kinds.value, words: words.value, limit: PAGE, cursor: from }, signal);

  async function attempt(act: (signal: AbortSignal) => Promise<void>): Promise<void> {
    reading.abort();
    reading = new AbortController();
    const { signal } = reading;
    try {
      await act(signal);
      problem.value = null;
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Problem && error.status === 401) onExpired();
      else problem.value = error;
    } finally {
      if (!signal.aborted) isLoading.value = isLoadingOlder.value = false;
    }
  }

  /** The newest page anew; what else is in hand stays where it joins on. */
  async function readNewest(isAnew: boolean): Promise<void> {
    isLoading.value = isAnew || items.value.length === 0;
    isLoadingOlder.value = false;
    await attempt(async (signal) => {
      const page = await ask(null, signal);
      const known = new Set(items.value.map(({ event_id }) => event_id));
      const joins = !isAnew && page.items.some(({ event_id }) => known.has(event_id));
      items.value = merged(joins ? items.value : [], page.items);
      if (!joins) {
        cursor.value = page.next_cursor;
        isFull.value = false;
      }
    });
  }

  async function readOlder(): Promise<void> {
    if (cursor.value === null || isLoading.value || isLoadingOlder.value || isFull.value) return;
    isLoadingOlder.value = true;
    await attempt(async (signal) => {
      const page = await ask(cursor.value, signal);
      items.value = merged(items.value, page.items);
      cursor.value = page.next_cursor;
      isFull.value = items.value.length >= MOST;
    });
  }

  function hear(item: TimelineItem): void {
    gathered.push(item);
    if (gathered.length >= MOST) gathered.shift();
    if (timer === 0) timer = window.setTimeout(takeGathered, GATHER_MS);
  }

  function takeGathered(): void {
    const came = gathered;
    gathered = [];
    timer = 0;
    onHeard(new Set(came.map(({ kind }) => kind)));
    const wanted = came.filter(({ kind }) => filters.value.size === 0 || kinds.value.includes(kind));
    const known = new Set(items.value.map(({ event_id }) => event_id));
    for (const { event_id } of wanted) if (!known.has(event_id) && heardIds.size < MOST) heardIds.add(event_id);
    news.value = heardIds.size;
    // What a recording brings with it, or takes away, is older than its link: only the server knows it.
    if (came.some(({ kind }) => kind === "RecordingAttached" || kind === "RecordingDetached")) return void readNewest(true);
    if (words.value !== "") return; // only the server can tell whether the words are in it
    const oldest = items.value[0];
    const isInHand = (item: TimelineItem): boolean => cursor.value === null || oldest === undefined || byTime(oldest, item) <= 0;
    items.value = merged(items.value, wanted.filter(isInHand));
    if (items.value.length > MOST) {
      items.value = items.value.slice(-MOST);
      isFull.value = true;
    }
  }

  function seen(): void {
    if (words.value !== "") return;
    heardIds.clear();
    news.value = 0;
  }

  function toggle(filter: Filter): void {
    const next = new Set(filters.value);
    if (!next.delete(filter)) next.add(filter);
    filters.value = next;
    void readNewest(true);
  }

  function search(text: string): void {
    if (text.trim() === words.value) return;
    words.value = text.trim();
    void readNewest(true);
  }

  onMounted(() => {
    void readNewest(true);
    const ears = {
      onState: (state: TailState) => (tail.value = state),
      onMessage: ({ data }: Message) => hear(JSON.parse(data) as TimelineItem),
      onFresh: () => void readNewest(items.value.length === 0),
      onRefused: ({ status }: Problem) => (status === 401 ? onExpired() : undefined),
    };
    void followTail(browserTail(tailUrl(caseId), SILENT_MOST_MS), ears, leaving.signal);
  });
  onBeforeUnmount(() => {
    leaving.abort();
    reading.abort();
    window.clearTimeout(timer);
  });

  return {
    items, isLoading, isLoadingOlder, isFull, problem, tail, news, filters, words,
    hasOlder: computed(() => cursor.value !== null || isFull.value),
    readNewest, readOlder, seen, toggle, search,
  };
}
