// Following an event stream for as long as someone looks: resumes where it broke off, waits longer after each failure.

import { backoffMs } from "../player/backoff";
import { EventStreamReader, type Message } from "./eventStream";
import { Problem, problemOf, unreachable } from "./problem";

const REFUSALS = [401, 403, 404, 501]; // asking again would not change these

export type TailState = "connecting" | "live" | "reconnecting" | "refused";

export interface TailEars {
  onState: (state: TailState) => void;
  onMessage: (message: Message) => void;
  /** The stream begins at now, not where an earlier one broke off: what happened before has to be asked for. */
  onFresh: () => void;
  onRefused: (problem: Problem) => void;
}

/** What the tail needs of the world; chance: 0..1. */
export interface TailWorld {
  /** A connection silent for longer is dead: the server says something, if only a comment, far more often. */
  readonly silentMostMs: number;
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
      for await (const text of textOf(stream, world.silentMostMs, signal)) {
        failures = 0;
        for (const message of reader.feed(text)) ears.onMessage(message);
      }
    } catch (error) {
      if (error instanceof Problem && REFUSALS.includes(error.status)) {
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
async function* textOf(stream: ReadableStream<Uint8Array>, silentMostMs: number, signal: AbortSignal): AsyncGenerator<string> {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  const stop = (): void => void reader.cancel().catch(() => undefined);
  signal.addEventListener("abort", stop);
  try {
    for (;;) {
      const timer = setTimeout(stop, silentMostMs);
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
export function browserTail(url: string, silentMostMs: number): TailWorld {
  return {
    silentMostMs,
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
