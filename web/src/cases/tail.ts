// Following an event stream for as long as someone looks: resumes where it broke off, waits longer after each failure.

import type { TimelineItem } from "../api/cases";
import { EventStreamReader } from "../api/eventStream";
import { Problem, problemOf, unreachable } from "../api/problem";
import { backoffMs } from "../player/backoff";

const SILENT_MOST_MS = 60_000; // the server says something, if only a comment, far more often

export type TailState = "connecting" | "live" | "reconnecting" | "refused";

export interface TailEars {
  onState: (state: TailState) => void;
  onItem: (item: TimelineItem) => void;
  /** The stream begins at now, not where an earlier one broke off: what happened before has to be asked for. */
  onFresh: () => void;
  onRefused: (problem: Problem) => void;
}

/** What the tail needs of the world; chance: 0..1. */
export interface TailWorld {
  open: (lastId: string, signal: AbortSignal) => Promise<ReadableStream<Uint8Array>>;
  wait: (ms: number, signal: AbortSignal) => Promise<void>;
  chance: () => number;
}

/** Comes back when `signal` says so or the server refuses for good. */
export async function followTail(world: TailWorld, ears: TailEars, signal: AbortSignal): Promise<void> {
  let lastId = "";
  let failures = 0;
  ears.onState("connecting");
  while (!signal.aborted) {
    const reader = new EventStreamReader(lastId);
    try {
      const stream = await world.open(lastId, signal);
      ears.onState("live");
      if (lastId === "") ears.onFresh();
      for await (const text of textOf(stream, signal)) {
        failures = 0;
        for (const message of reader.feed(text)) ears.onItem(JSON.parse(message.data) as TimelineItem);
      }
    } catch (error) {
      if (error instanceof Problem && [401, 403, 404].includes(error.status)) {
        ears.onState("refused");
        return ears.onRefused(error);
      }
    }
    lastId = reader.lastId;
    if (signal.aborted) return;
    ears.onState("reconnecting");
    await world.wait(backoffMs(failures++, world.chance()), signal);
  }
}

/** Ends with the stream, with `signal`, and after a silence in which only a dead connection keeps still. */
async function* textOf(stream: ReadableStream<Uint8Array>, signal: AbortSignal): AsyncGenerator<string> {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  const stop = (): void => void reader.cancel().catch(() => undefined);
  signal.addEventListener("abort", stop);
  try {
    for (;;) {
      const timer = setTimeout(stop, SILENT_MOST_MS);
      const { done, value } = await reader.read().finally(() => clearTimeout(timer));
      if (done) return;
      yield decoder.decode(value, { stream: true });
    }
  } finally {
    signal.removeEventListener("abort", stop);
    stop();
  }
}

/** The tail of `url` in this browser. */
export function browserTail(url: string): TailWorld {
  return {
    async open(lastId, signal) {
      const headers = { Accept: "text/event-stream", ...(lastId === "" ? {} : { "Last-Event-ID": lastId }) };
      const response = await fetch(url, { headers, cache: "no-store", signal }).catch(() => {
        throw unreachable();
      });
      if (!response.ok || response.body === null) throw await problemOf(response);
      return response.body;
    },
    wait: (ms, signal) =>
      new Promise((resolve) => {
        const timer = setTimeout(resolve, ms);
        signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
      }),
    chance: Math.random,
  };
}
