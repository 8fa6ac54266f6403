// Every correction of a case's words: a search, or a filter, shows words without the correction that counts over them.

import { computed, onBeforeUnmount, onMounted, shallowRef } from "vue";
import { listCorrections, type TimelineItem } from "../api/cases";
import { correctionsOf } from "./versions";

export function useCorrections(caseId: string) {
  const known = shallowRef<readonly TimelineItem[]>([]);
  const leaving = new AbortController();

  async function read(): Promise<void> {
    known.value = await listCorrections(caseId, leaving.signal).catch(() => known.value); // the timeline tells what is wrong
  }

  onMounted(() => void read());
  onBeforeUnmount(() => leaving.abort());

  return { found: computed(() => correctionsOf(known.value)), read };
}
