import { expect, test } from "vitest";
import { axisOf, correctionOf, laneOf, secondOf, spanAt, whyDark, type Lane } from "./together";

const lane = (startMs: number, more: Partial<Lane> = {}): Lane => ({ recordingId: "r", name: "cam", startMs, length_s: 60, gaps: [], allowed: [], ...more });

test("the axis reaches from the first to the last moment of all", () => {
  expect(axisOf([lane(5_000), lane(1_000, { length_s: 100 })])).toEqual({ fromMs: 1_000, toMs: 101_000 });
});

test("a lane begins where the server's clock says", () => {
  const made = laneOf({ recording_id: "r", device_name: "cam", started_at: "2026-11-24T08:00:00.500Z", length_s: 10, is_ended: true, segments: [], gaps: [], allowed: [] });
  expect(secondOf(made, Date.parse("2026-11-24T08:00:02.000Z"))).toBe(1.5);
});

test("only what is allowed is played, and the dark says why", () => {
  const some = lane(10_000, { allowed: [{ start_s: 5, end_s: 15 }], gaps: [{ start_s: 20, end_s: 25, cause: "publisher_lost" }] });
  expect(spanAt(some, 14_999)).toBeNull();
  expect(spanAt(some, 15_000)).toEqual({ start_s: 5, end_s: 15 });
  expect(spanAt(some, 25_000)).toBeNull();
  expect([9_999, 12_000, 16_000, 31_000, 70_000].map((atMs) => whyDark(some, atMs))).toEqual(["outside", "notAllowed", "", "gap", "outside"]);
});

test("small differences are left, middle ones run in, great ones jumped over", () => {
  expect(correctionOf(10, 10.05)).toEqual({ jump: false, pace: 1 });
  expect(correctionOf(10, 10.3).pace).toBeGreaterThan(1);
  expect(correctionOf(10.3, 10).pace).toBeLessThan(1);
  expect(correctionOf(10, 12).jump).toBe(true);
  expect(correctionOf(12, 10).jump).toBe(true);
});
