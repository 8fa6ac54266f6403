import { expect, test } from "vitest";
import type { TimelineItem } from "../api/cases";
import { deviceClockOf, furthestClockOf } from "./deviceClock";

const AT = "2026-11-24T01:00:00.000Z";
const segment = (more: Record<string, unknown>): TimelineItem => ({ event_id: "e", seq: 1, kind: "SegmentClosed", at: AT, by: "onrecord", ...more });

test("a device's clock is told where it is more than 2 s off, ahead or behind", () => {
  for (const offset_s of [2.01, -2.01, 4_000]) expect(deviceClockOf(segment({ device_at: AT, device_offset_s: offset_s }))).toEqual({ at: new Date(AT), offset_s });
  for (const offset_s of [2, -2, 0, undefined, null, "9"]) expect(deviceClockOf(segment({ device_at: AT, device_offset_s: offset_s }))).toBeNull();
  for (const device_at of [undefined, null, "", "noon"]) expect(deviceClockOf(segment({ device_at, device_offset_s: 9 }))).toBeNull();
});

test("a fold tells the clock that is furthest off", () => {
  const items = [3, -7, 1, 5].map((offset_s) => segment({ device_at: AT, device_offset_s: offset_s }));
  expect(furthestClockOf(items)?.offset_s).toBe(-7);
  expect(furthestClockOf([segment({})])).toBeNull();
});
