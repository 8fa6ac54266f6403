// The device's own clock beside the server's. Plain data work.

import type { TimelineItem } from "../api/cases";

const APART_S = 2; // a clock that is off by less is right enough for people

export interface DeviceClock {
  readonly at: Date; // what it showed
  readonly offset_s: number; // it less ours
}

/** What the device's own clock showed when the event began, where it differs by more than 2 s from ours; null otherwise. */
export function deviceClockOf({ device_at: at, device_offset_s: offset_s }: TimelineItem): DeviceClock | null {
  if (typeof at !== "string" || typeof offset_s !== "number" || !(Math.abs(offset_s) > APART_S)) return null;
  const shown = new Date(at);
  return Number.isNaN(shown.getTime()) ? null : { at: shown, offset_s };
}

/** The device that is furthest off among `items`. */
export function furthestClockOf(items: readonly TimelineItem[]): DeviceClock | null {
  const far = (one: DeviceClock | null): number => Math.abs(one?.offset_s ?? 0);
  return items.map(deviceClockOf).reduce((best, one) => (far(one) > far(best) ? one : best), null);
}
