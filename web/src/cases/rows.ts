// What stands in the timeline, row by row: a date where the day changes, segments in a row as one. Plain data work.

import type { TimelineItem } from "../api/cases";
import { correctionsOf, spokenOf, type Spoken } from "./versions";

/** spoken: of words that were heard, what is known of them. isOpen: their other versions follow. */
export interface EventRow {
  readonly type: "event";
  readonly key: string;
  readonly item: TimelineItem;
  readonly isFolded: boolean;
  readonly spoken: Spoken | null;
  readonly isOpen: boolean;
}

export type Row =
  | { readonly type: "older"; readonly key: "older" }
  | { readonly type: "day"; readonly key: string; readonly at: Date }
  | EventRow
  | { readonly type: "fold"; readonly key: string; readonly items: readonly TimelineItem[]; readonly mediaS: number; readonly isOpen: boolean };

/**
 * hasOlder: there are events before `items`. opened: ids of events whose fold is open. corrections: of words, those that
 * `items` may lack. Days are those of the reader's time zone.
 */
export function rowsOf(items: readonly TimelineItem[], opened: ReadonlySet<string>, hasOlder: boolean, corrections?: ReadonlyMap<string, TimelineItem>): readonly Row[] {
  const known = correctionsOf([...(corrections?.values() ?? []), ...items]);
  const spoken = spokenOf(items, known);
  const rows: Row[] = hasOlder ? [{ type: "older", key: "older" }] : [];
  let dayMs = Infinity;
  let nextDayMs = -Infinity;
  let run: TimelineItem[] = [];
  const close = (): void => {
    if (run.length > 0) rows.push(...foldOf(run, opened));
    run = [];
  };
  for (const item of items) {
    const atMs = Date.parse(item.at);
    if (!(atMs >= dayMs && atMs < nextDayMs)) {
      close();
      const at = new Date(atMs);
      dayMs = new Date(at.getFullYear(), at.getMonth(), at.getDate()).getTime();
      nextDayMs = new Date(at.getFullYear(), at.getMonth(), at.getDate() + 1).getTime();
      rows.push({ type: "day", key: `day ${dayMs}`, at });
    }
    if (item.kind === "SegmentClosed") {
      run.push(item);
      continue;
    }
    const said = spoken.get(item.event_id);
    if (said === null) continue; // folded under other words
    close();
    const isOpen = said !== undefined && said.others.length > 0 && opened.has(item.event_id);
    rows.push({ ...eventOf(item, false), spoken: said ?? null, isOpen });
    if (isOpen) rows.push(...said.others.map((other) => ({ ...eventOf(other, true), spoken: { correction: known.get(other.event_id) ?? null, others: [] } })));
  }
  close();
  return rows;
}

function foldOf(run: readonly TimelineItem[], opened: ReadonlySet<string>): readonly Row[] {
  const last = run.at(-1);
  if (last === undefined || run.length === 1) return run.map((item) => eventOf(item, false));
  const isOpen = opened.size > 0 && run.some(({ event_id }) => opened.has(event_id));
  const mediaS = run.reduce((sum, item) => sum + mediaSecondsOf(item), 0);
  const fold: Row = { type: "fold", key: `fold ${last.event_id}`, items: run, mediaS, isOpen };
  return isOpen ? [fold, ...run.map((item) => eventOf(item, true))] : [fold];
}

/** Whether the row stays where it is, and what it is, when older events come before it. */
export function isAnchor(key: string): boolean {
  return key !== "older" && !key.startsWith("day ");
}

const eventOf = (item: TimelineItem, isFolded: boolean): EventRow => ({ type: "event", key: item.event_id, item, isFolded, spoken: null, isOpen: false });

/** How many seconds of the stream the event speaks about; 0: about none. */
export function mediaSecondsOf({ start_s, end_s, media }: TimelineItem): number {
  if (typeof start_s === "number" && typeof end_s === "number") return Math.max(0, end_s - start_s);
  if (typeof media !== "object" || media === null) return 0;
  const span = media as Record<string, unknown>;
  return typeof span["start_s"] === "number" && typeof span["end_s"] === "number" ? Math.max(0, span["end_s"] - span["start_s"]) : 0;
}
