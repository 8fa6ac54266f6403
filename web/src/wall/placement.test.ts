import { expect, test } from "vitest";
import type { Stream, StreamState } from "../api/server";
import { pageCount, pageOf, pageWith, place } from "./placement";

function stream(name: string, state: StreamState = "live", device = name): Stream {
  return {
    stream_id: `id-${name}`, device_id: device, device_name: name, officer: null, unit: null, state, started_at: "",
    video: null, audio: null, viewers: 0, bitrate_bps: 0, last_keyframe_at: null,
  };
}
const names = (slots: ReturnType<typeof place>): (string | null)[] => slots.map((slot) => slot?.device_name ?? null);

test("at first live ones come first, then by name, numbers as numbers", () => {
  const slots = place([], [stream("cam 10"), stream("cam 9"), stream("cam 1", "lost"), stream("cam 2", "ended")]);
  expect(names(slots)).toEqual(["cam 9", "cam 10", "cam 1", "cam 2"]);
});

test("a tile keeps its stream, whatever its state and whoever comes", () => {
  const before = place([], [stream("b"), stream("d")]);
  expect(names(place(before, [stream("a"), stream("d", "lost"), stream("b", "reconnecting")]))).toEqual(["b", "d", "a"]);
});

test("a stream that went leaves a hole, which the next newcomer fills", () => {
  const holed = place(place([], [stream("a"), stream("b"), stream("c")]), [stream("a"), stream("c")]);
  expect(names(holed)).toEqual(["a", null, "c"]);
  expect(names(place(holed, [stream("a"), stream("c"), stream("z")]))).toEqual(["a", "z", "c"]);
});

test("a device that comes back takes the slot of its ended stream", () => {
  const before = place([], [stream("a"), stream("b", "ended", "device")]);
  const after = place(before, [stream("a"), stream("b", "ended", "device"), stream("b again", "live", "device")]);
  expect(names(after)).toEqual(["a", "b again", "b"]);
});

test("pages hold every slot once", () => {
  const slots = place([], Array.from({ length: 10 }, (_, i) => stream(`cam ${i}`)));
  expect(pageCount(slots, 4)).toBe(3);
  expect(pageOf(slots, 4, 2).map((slot) => slot?.device_name ?? null)).toEqual(["cam 8", "cam 9", null, null]);
  expect(pageWith(9, 4)).toBe(2);
  expect(pageCount([], 9)).toBe(1);
});
