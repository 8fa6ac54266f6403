// The part of a long list that is in sight: only its rows are in the page. Keeps the end in sight while the reader is
// there, else the row at the top where it is, whatever comes before or after it.

import { computed, nextTick, onBeforeUnmount, onMounted, ref, watch, type Ref } from "vue";
import { Heights } from "./heights";

const BESIDE = 12; // rows in the page above and below those in sight
const AT_END_PX = 8;

/** isAnchor: whether a row may be the one that stays where it is. */
export function useWindow(scroller: Ref<HTMLElement | null>, keys: () => readonly string[], isAnchor: (key: string) => boolean) {
  const heights = new Heights();
  const drawn = ref(0); // counts what changes heights, which no ref holds
  const topPx = ref(0);
  const viewPx = ref(0);
  const isFollowing = ref(true);
  let widthPx = 0;
  let anchor: { readonly key: string; readonly belowTopPx: number } | null = null;

  const span = computed(() => {
    void drawn.value;
    const top = isFollowing.value ? heights.totalPx - viewPx.value : topPx.value;
    const first = Math.max(0, heights.rowAt(top) - BESIDE);
    const end = Math.min(keys().length, heights.rowAt(top + viewPx.value) + 1 + BESIDE);
    return { first, end, beforePx: heights.topOf(first), afterPx: heights.totalPx - heights.topOf(end) };
  });

  function takeAnchor(): void {
    const all = keys();
    let row = heights.rowAt(topPx.value);
    while (row < all.length - 1 && !isAnchor(all[row] ?? "")) row += 1;
    const key = all[row];
    anchor = key === undefined ? null : { key, belowTopPx: heights.topOf(row) - topPx.value };
  }

  /** Where the list has to stand, by what is known of its heights. */
  function place(): void {
    const row = isFollowing.value || anchor === null ? -1 : keys().indexOf(anchor.key);
    if (row >= 0 && anchor !== null) topPx.value = Math.max(0, heights.topOf(row) - anchor.belowTopPx);
    drawn.value += 1;
  }

  function settle(): void {
    const list = scroller.value;
    if (list === null) return;
    const rows = [...list.querySelectorAll<HTMLElement>("[data-row]")];
    if (heights.measure(rows.map((row) => [row.dataset["row"] ?? "", row.getBoundingClientRect().height] as const))) {
      place();
      void nextTick(settle);
    }
    const top = isFollowing.value ? list.scrollHeight : topPx.value;
    if (Math.abs(list.scrollTop - top) > 0.5) list.scrollTop = top;
  }

  function onScroll(): void {
    const list = scroller.value;
    if (list === null) return;
    const isUp = list.scrollTop < topPx.value - 1;
    topPx.value = list.scrollTop;
    if (list.scrollHeight - list.scrollTop - list.clientHeight < AT_END_PX) isFollowing.value = true;
    else if (isUp) isFollowing.value = false;
    takeAnchor();
  }

  function toEnd(): void {
    isFollowing.value = true;
    place();
    void nextTick(settle);
  }

  const observer = new ResizeObserver(() => {
    const list = scroller.value;
    if (list === null) return;
    viewPx.value = list.clientHeight;
    if (list.clientWidth !== widthPx) heights.forget();
    widthPx = list.clientWidth;
    place();
    void nextTick(settle);
  });

  watch(keys, (all) => (heights.take(all), place()), { immediate: true });
  watch([keys, span], settle, { flush: "post" });
  onMounted(() => scroller.value !== null && observer.observe(scroller.value));
  onBeforeUnmount(() => observer.disconnect());

  return { span, isFollowing, topPx, onScroll, toEnd, settle };
}
