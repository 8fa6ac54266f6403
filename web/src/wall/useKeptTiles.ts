// The tiles that exist: those in sight, and for a while those just out of sight, so that coming back is instant.

import { computed, onBeforeUnmount, shallowRef, watch, type Ref } from "vue";
import type { Stream } from "../api/server";
import type { Slot } from "./placement";

const KEPT_MS = 10_000;

export interface KeptTile {
  readonly stream: Stream;
  readonly slot: number;
  readonly isShown: boolean;
}

export function useKeptTiles(slots: Ref<readonly Slot[]>, first: Ref<number>, count: Ref<number>) {
  const leaving = shallowRef<ReadonlyMap<string, number>>(new Map()); // stream id to its timer

  const shownIds = computed(() =>
    slots.value.slice(first.value, first.value + count.value).flatMap((slot) => (slot === null ? [] : [slot.stream_id])),
  );

  function forget(streamId: string): void {
    const next = new Map(leaving.value);
    window.clearTimeout(next.get(streamId));
    next.delete(streamId);
    leaving.value = next;
  }

  watch(shownIds, (after, before) => {
    for (const id of after) if (leaving.value.has(id)) forget(id);
    for (const id of before) {
      if (after.includes(id)) continue;
      window.clearTimeout(leaving.value.get(id));
      leaving.value = new Map(leaving.value).set(id, window.setTimeout(() => forget(id), KEPT_MS));
    }
  }, { flush: "sync" }); // before the next render: a tile must not be torn down between the two

  onBeforeUnmount(() => {
    for (const timer of leaving.value.values()) window.clearTimeout(timer);
  });

  return computed<KeptTile[]>(() =>
    slots.value.flatMap((stream, slot) => {
      if (stream === null) return [];
      const isShown = shownIds.value.includes(stream.stream_id);
      return isShown || leaving.value.has(stream.stream_id) ? [{ stream, slot, isShown }] : [];
    }),
  );
}
