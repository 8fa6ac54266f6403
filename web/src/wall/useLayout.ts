// What the wall shows: how many tiles, which page of them, and the way back from a tile opened large.

import { computed, ref, watch, type Ref } from "vue";
import { pageCount, pageWith, type Layout, type Slot } from "./placement";

const STORED = "onrecord.layout";

function firstLayout(): Layout {
  const stored = Number(localStorage.getItem(STORED));
  return stored === 1 || stored === 9 ? stored : 4;
}

export function useLayout(slots: Ref<readonly Slot[]>) {
  const layout = ref<Layout>(firstLayout());
  const page = ref(0);
  const before = ref<Layout | null>(null); // the layout to come back to from a tile opened large
  const pages = computed(() => pageCount(slots.value, layout.value));
  const first = computed(() => page.value * layout.value);

  watch(pages, (count) => (page.value = Math.min(page.value, count - 1)));

  /** `slot` stays in sight. */
  function choose(next: Layout, slot: number): void {
    before.value = null;
    layout.value = next;
    page.value = pageWith(slot, next);
    localStorage.setItem(STORED, String(next));
  }

  function open(slot: number): void {
    if (layout.value !== 1) before.value = layout.value;
    layout.value = 1;
    page.value = slot;
  }

  /** Whether there was a step to go back. */
  function back(): boolean {
    if (before.value === null) return false;
    const slot = first.value;
    layout.value = before.value;
    before.value = null;
    page.value = pageWith(slot, layout.value);
    return true;
  }

  function turn(to: number): void {
    page.value = Math.min(Math.max(0, to), pages.value - 1);
  }

  function show(slot: number): void {
    turn(pageWith(slot, layout.value));
  }

  return { layout, page, pages, first, choose, open, back, turn, show };
}
