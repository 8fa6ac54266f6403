// Grave findings on the other pages of the wall. Streams out of sight are not watched, so the server does not tell of them: they are asked for.

import { computed, onBeforeUnmount, onMounted, shallowRef, watch, type Ref } from "vue";
import { listFindings, type Finding, type FindingFilter } from "../api/findings";
import type { FindingBoard } from "../findings/findingBoard";
import { elsewhereOf } from "./elsewhere";
import type { Slot } from "./placement";

const EVERY_MS = 4_000;
const GRAVE: readonly FindingFilter["severity"][] = ["critical", "high"];

export function useElsewhere(slots: Ref<readonly Slot[]>, inSight: Ref<ReadonlySet<string>>, board: FindingBoard, mayAsk: () => boolean) {
  const asked = shallowRef<readonly Finding[]>([]);
  const leaving = new AbortController();
  let timer = 0;

  const outOfSight = computed(() => slots.value.flatMap((stream) => (stream === null || inSight.value.has(stream.stream_id) ? [] : [stream.stream_id])).join(" "));

  async function look(): Promise<void> {
    if (document.hidden || !mayAsk()) return;
    if (outOfSight.value === "") {
      asked.value = [];
      return;
    }
    const { signal } = leaving;
    const pages = await Promise.all(GRAVE.map((severity) => listFindings({ state: "", group: "", severity, isOpenOnly: true, streamId: "" }, null, signal))).catch(() => null);
    if (pages === null) return; // the wall says already when the server does not answer
    asked.value = pages.flatMap(({ items }) => items).filter(({ state }) => state === "new" || state === "confirmed");
  }

  async function round(): Promise<void> {
    await look();
    if (timer !== -1) timer = window.setTimeout(() => void round(), EVERY_MS);
  }

  watch(outOfSight, () => void look());
  onMounted(() => void round());
  onBeforeUnmount(() => {
    window.clearTimeout(timer);
    timer = -1;
    leaving.abort();
  });

  return computed(() => elsewhereOf(slots.value, inSight.value, board.all(), asked.value));
}
