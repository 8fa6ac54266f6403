// Which stream stands in which slot of the wall. Plain lists; nothing here knows the screen.

import type { Stream, StreamState } from "../api/server";

export const LAYOUTS = [1, 4, 9] as const;
export type Layout = (typeof LAYOUTS)[number];
export type Slot = Stream | null;

const RANK: Record<StreamState, number> = { live: 0, reconnecting: 1, lost: 2, ended: 3 };
const collator = new Intl.Collator("zh-CN", { numeric: true });

function byStateThenName(a: Stream, b: Stream): number {
  return RANK[a.state] - RANK[b.state] || collator.compare(a.device_name, b.device_name) || (a.stream_id < b.stream_id ? -1 : 1);
}

/**
 * The next slots: a stream keeps its slot while it exists; a newcomer takes its own device's ended slot, else an empty
 * one, else a new one at the end. Nothing else moves.
 */
export function place(before: readonly Slot[], streams: readonly Stream[]): Slot[] {
  const byId = new Map(streams.map((stream) => [stream.stream_id, stream]));
  const slots: Slot[] = before.map((slot) => (slot === null ? null : (byId.get(slot.stream_id) ?? null)));
  const placed = new Set(slots.flatMap((slot) => (slot === null ? [] : [slot.stream_id])));
  const newcomers = streams.filter(({ stream_id }) => !placed.has(stream_id)).sort(byStateThenName);
  const displaced: Stream[] = [];
  for (const stream of newcomers) {
    const own = slots.findIndex((slot) => slot?.device_id === stream.device_id && slot.state === "ended");
    const replaced = slots[own];
    if (stream.state !== "ended" && replaced) {
      slots[own] = stream;
      displaced.push(replaced);
    } else seat(slots, stream);
  }
  for (const stream of displaced) seat(slots, stream);
  while (slots.length > 0 && slots.at(-1) === null) slots.pop();
  return slots;
}

function seat(slots: Slot[], stream: Stream): void {
  const hole = slots.indexOf(null);
  if (hole >= 0) slots[hole] = stream;
  else slots.push(stream);
}

export function pageCount(slots: readonly Slot[], layout: Layout): number {
  return Math.max(1, Math.ceil(slots.length / layout));
}

/** The slots of one page, filled up with empty ones. */
export function pageOf(slots: readonly Slot[], layout: Layout, page: number): Slot[] {
  return Array.from({ length: layout }, (_, i) => slots[page * layout + i] ?? null);
}

export function pageWith(slot: number, layout: Layout): number {
  return Math.max(0, Math.floor(slot / layout));
}
