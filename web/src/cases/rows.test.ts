import { expect, test } from "vitest";
import type { TimelineItem } from "../api/cases";
import { merged } from "./order";
import { rowsOf } from "./rows";

const START_MS = new Date(2026, 10, 24, 9, 0, 0).getTime();

function item(seq: number, kind: string, more: Record<string, unknown> = {}): TimelineItem {
  return { event_id: `e${seq}`, seq, kind, at: new Date(START_MS + seq * 1_000).toISOString(), by: "onrecord", ...more };
}

const segment = (seq: number): TimelineItem => item(seq, "SegmentClosed", { start_s: seq, end_s: seq + 10.25 });
const NONE = new Set<string>();

test("segments in a row are one row that says how much they hold", () => {
  const rows = rowsOf([item(0, "StreamStarted"), segment(1), segment(2), segment(3), item(4, "MediaLost"), segment(5)], NONE, false);
  expect(rows.map(({ type }) => type)).toEqual(["day", "event", "fold", "event", "event"]);
  expect(rows[2]).toMatchObject({ mediaS: 30.75, isOpen: false });
});

test("an open fold shows its segments and stays open while it grows at either end", () => {
  const opened = new Set(["e2"]);
  for (const items of [[segment(2), segment(3)], [segment(1), segment(2), segment(3), segment(4)]]) {
    const rows = rowsOf(items, opened, false);
    expect(rows[1]).toMatchObject({ type: "fold", isOpen: true });
    expect(rows.filter((row) => row.type === "event")).toHaveLength(items.length);
  }
});

test("a new day breaks a fold and says its date", () => {
  const rows = rowsOf([segment(0), segment(1), segment(86_400), segment(86_401)], NONE, false);
  expect(rows.map(({ type }) => type)).toEqual(["day", "fold", "day", "fold"]);
});

test("rows never have the same key", () => {
  const items = Array.from({ length: 200 }, (_, i) => (i % 5 === 0 ? item(i * 3_600, "NoteAdded") : segment(i * 3_600)));
  const keys = rowsOf(items, new Set(items.map(({ event_id }) => event_id)), false).map(({ key }) => key);
  expect(new Set(keys).size).toBe(keys.length);
});

test("an event that comes twice is there once, and a late one takes the place where it happened", () => {
  const known = [item(1, "A"), item(3, "B")];
  expect(merged(known, [item(3, "B"), item(1, "A")])).toBe(known);
  const late = { ...item(2, "C"), seq: 99 };
  expect(merged(known, [late, late, item(4, "D")]).map(({ kind }) => kind)).toEqual(["A", "C", "B", "D"]);
  expect(merged([], [item(2, "b"), item(1, "a")]).map(({ kind }) => kind)).toEqual(["a", "b"]);
});

test("of the same moment, what was learned first stands first", () => {
  const at = new Date(START_MS).toISOString();
  expect(merged([{ ...item(5, "later"), at }], [{ ...item(4, "sooner"), at }]).map(({ kind }) => kind)).toEqual(["sooner", "later"]);
});
