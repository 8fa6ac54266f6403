// Events in the order of the timeline: by when they happened, then by when they were learned. Plain data work.

import type { TimelineItem } from "../api/cases";

/** `known` and `more`, each event once, oldest first. Both may be in any order; what is known stays as it is. */
export function merged(known: readonly TimelineItem[], more: readonly TimelineItem[]): readonly TimelineItem[] {
  const ids = new Set(known.map(({ event_id }) => event_id));
  const added = more.filter(({ event_id }) => !ids.has(event_id) && ids.add(event_id));
  if (added.length === 0) return known;
  added.sort(byTime);
  const [first, last] = [known[0], known.at(-1)];
  if (first === undefined || last === undefined) return added;
  if (added.every((item) => byTime(item, first) < 0)) return [...added, ...known];
  const all = [...known, ...added];
  return added.every((item) => byTime(last, item) < 0) ? all : all.sort(byTime);
}

/** Less than 0: `one` stands before `other`. */
export function byTime(one: TimelineItem, other: TimelineItem): number {
  return Date.parse(one.at) - Date.parse(other.at) || one.seq - other.seq;
}
