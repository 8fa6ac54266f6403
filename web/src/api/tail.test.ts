import { expect, test, vi } from "vitest";
import { Problem } from "./problem";
import { followTail, type TailEars, type TailWorld } from "./tail";

const message = (seq: number): string => `id: ${seq}\nevent: NoteAdded\ndata: {"event_id":"e${seq}","seq":${seq}}\n\n`;

/** A server that plays one script a connection: the text it sends before it breaks off, or why it refuses. */
function played(scripts: readonly (string | Problem)[]) {
  const stop = new AbortController();
  const asked: string[] = [];
  const waits: number[] = [];
  const told: string[] = [];
  const world: TailWorld = {
    silentMostMs: 60_000,
    async open(lastId) {
      const script = scripts[asked.length];
      asked.push(lastId);
      if (script instanceof Problem) throw script;
      return new ReadableStream<Uint8Array>({
        start(controller) {
          controller.enqueue(new TextEncoder().encode(script ?? ""));
          controller.close();
        },
      });
    },
    async wait(ms) {
      waits.push(ms);
      if (asked.length >= scripts.length) stop.abort();
    },
    chance: () => 1,
  };
  const ears: TailEars = {
    onState: (state) => told.push(state),
    onMessage: ({ data }) => told.push((JSON.parse(data) as { event_id: string }).event_id),
    onFresh: () => told.push("fresh"),
    onRefused: ({ status }) => told.push(`refused ${status}`),
  };
  return { asked, waits, told, done: followTail(world, ears, stop.signal) };
}

test("a broken stream is taken up after the last message that came whole", async () => {
  const { asked, told, done } = played([message(3) + "id: 4\ndata: {", message(4) + message(9)]);
  await done;
  expect(asked).toEqual(["", "3"]);
  expect(told).toEqual(["connecting", "live", "fresh", "e3", "reconnecting", "live", "e4", "e9", "reconnecting"]);
});

test("a stream that broke before its first message begins anew and says so", async () => {
  const { asked, told, done } = played([": hello\n\n", message(1)]);
  await done;
  expect(asked).toEqual(["", ""]);
  expect(told.filter((word) => word === "fresh")).toHaveLength(2);
});

test("waits grow while the server is away and begin small again when it is back", async () => {
  const away = new Problem(0, "", "", "");
  const { waits, done } = played([away, away, away, message(1), away]);
  await done;
  expect(waits).toEqual([500, 1_000, 2_000, 500, 1_000]);
});

test("a server that accepts and says nothing is not asked without a pause", async () => {
  const { waits, done } = played([new Problem(503, "", "", ""), new Problem(503, "", "", "")]);
  await done;
  expect(waits).toEqual([500, 1_000]);
});

test("a refusal ends it", async () => {
  for (const status of [401, 403, 404, 501]) {
    const { asked, told, done } = played([message(2), new Problem(status, "", "", ""), message(3)]);
    await done;
    expect(asked).toHaveLength(2);
    expect(told.slice(-2)).toEqual(["refused", `refused ${status}`]);
  }
});

test("a connection that keeps still for longer than the server ever does is given up", async () => {
  vi.useFakeTimers();
  const stop = new AbortController();
  const states: string[] = [];
  const world: TailWorld = {
    silentMostMs: 25_000,
    open: async () => new ReadableStream<Uint8Array>(),
    wait: async () => stop.abort(),
    chance: () => 1,
  };
  const ears: TailEars = { onState: (state) => states.push(state), onMessage: () => undefined, onFresh: () => undefined, onRefused: () => undefined };
  const done = followTail(world, ears, stop.signal);
  await vi.advanceTimersByTimeAsync(24_999);
  expect(states).toEqual(["connecting", "live"]);
  await vi.advanceTimersByTimeAsync(1);
  await done;
  expect(states).toEqual(["connecting", "live", "reconnecting"]);
  vi.useRealTimers();
});
