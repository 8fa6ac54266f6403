// The list of streams, asked each second while someone looks, and the slots they stand in.

import { computed, onBeforeUnmount, onMounted, ref, shallowRef } from "vue";
import { Problem } from "../api/problem";
import { listStreams, type Stream } from "../api/server";
import { ServerClock } from "../player/clock";
import { place, type Slot } from "./placement";

const ASK_MS = 1_000;
const ANSWER_MOST_MS = 8_000;

interface Since {
  readonly state: Stream["state"];
  readonly atMs: number; // server time
}

export function useStreams(onExpired: () => void) {
  const slots = shallowRef<readonly Slot[]>([]);
  const problem = ref<unknown>(null);
  const hasAnswer = ref(false);
  const serverOffsetMs = ref(0);
  const nowMs = ref(Date.now());
  const clock = new ServerClock();
  const since = new Map<string, Since>();
  let timer = 0;
  let asking: AbortController | null = null;

  function took(streams: readonly Stream[], serverMs: number): void {
    for (const stream of streams) {
      const known = since.get(stream.stream_id);
      if (known?.state === stream.state) continue;
      const pictureMs = Date.parse(stream.last_keyframe_at ?? "");
      const atMs = known === undefined && stream.state !== "live" && Number.isFinite(pictureMs) ? pictureMs : serverMs;
      since.set(stream.stream_id, { state: stream.state, atMs });
    }
    slots.value = place(slots.value, streams);
  }

  async function ask(): Promise<void> {
    asking = new AbortController();
    const { signal } = asking;
    const limit = window.setTimeout(() => asking?.abort(), ANSWER_MOST_MS);
    const askedMs = Date.now();
    try {
      const list = await listStreams(signal);
      const serverMs = Date.parse(list.now);
      if (Number.isFinite(serverMs)) clock.sampled(askedMs, serverMs, Date.now());
      serverOffsetMs.value = clock.offsetMs;
      took(list.items, Number.isFinite(serverMs) ? serverMs : Date.now());
      hasAnswer.value = true;
      problem.value = null;
    } catch (error) {
      if (error instanceof Problem && error.status === 401) onExpired();
      else problem.value = error;
    } finally {
      window.clearTimeout(limit);
    }
  }

  async function round(): Promise<void> {
    nowMs.value = Date.now();
    if (!document.hidden) await ask();
    nowMs.value = Date.now();
    if (timer !== -1) timer = window.setTimeout(() => void round(), ASK_MS);
  }

  onMounted(() => void round());
  onBeforeUnmount(() => {
    window.clearTimeout(timer);
    timer = -1;
    asking?.abort();
  });

  return {
    slots, problem, hasAnswer, serverOffsetMs, nowMs,
    streams: computed(() => slots.value.filter((slot) => slot !== null)),
    serverNow: computed(() => new Date(nowMs.value + serverOffsetMs.value)),
    /** Since when the stream is in its state, in server time. */
    sinceMs: (streamId: string): number => since.get(streamId)?.atMs ?? nowMs.value + serverOffsetMs.value,
  };
}
