import { expect, test } from "vitest";
import type { TimelineItem } from "../api/cases";
import { rowsOf } from "./rows";
import { correctionsOf, isDemoModel, spokenOf } from "./versions";

const START_MS = new Date(2026, 10, 24, 9, 0, 0).getTime();
let count = 0;

function heard(text: string, start_s: number, end_s: number, model = "small@1", stream_id = "st-1"): TimelineItem {
  const seq = count++;
  return { event_id: `e${seq}`, seq, kind: "WordsHeard", at: new Date(START_MS + start_s * 1_000).toISOString(), by: "onrecord", stream_id, text, start_s, end_s, model };
}

function corrected(of: TimelineItem, text: string): TimelineItem {
  const seq = count++;
  return { event_id: `e${seq}`, seq, kind: "WordsCorrected", at: new Date(START_MS + 900_000).toISOString(), by: "u", text, of_event: of.event_id };
}

/** What is shown: text, and in brackets what is folded under it. */
function shown(items: readonly TimelineItem[]): string[] {
  const spoken = spokenOf(items, correctionsOf(items));
  return items.flatMap((item) => {
    const known = spoken.get(item.event_id);
    if (known === null || known === undefined) return [];
    const words = known.correction?.text ?? item.text;
    return [known.others.length > 0 ? `${words} [${known.others.map(({ text }) => text)}]` : String(words)];
  });
}

test("of several models what was learned last counts, and the older ones are folded under it", () => {
  expect(shown([heard("正件", 1, 3), heard("证件", 1.1, 3.1, "large@1")])).toEqual(["证件 [正件]"]);
});

test("a demonstration model counts only where nothing else was heard", () => {
  expect(shown([heard("证件", 1, 3), heard("件", 1, 3, "whisper-demo-zh@1"), heard("好", 5, 6, "whisper-demo-zh@1")])).toEqual(["证件 [件]", "好"]);
  expect([isDemoModel("whisper-demo-zh@1"), isDemoModel("demosthenes@1"), isDemoModel("a@demo")]).toEqual([true, false, false]);
});

test("a person's words win over every model, and the one who corrected last over the others", () => {
  const old = heard("正件", 1, 3);
  expect(shown([old, corrected(old, "证件"), heard("证见", 1, 3, "large@1"), corrected(old, "请出示证件")])).toEqual(["请出示证件 [证见]"]);
});

test("models that cut the same speech differently are one span; neighbours and other streams are not", () => {
  const items = [heard("甲", 0, 4), heard("乙", 4, 8), heard("甲乙", 0.1, 8, "large@1"), heard("丙", 7.9, 12, "large@1"), heard("丙", 0, 8, "small@1", "st-2")];
  expect(shown(items)).toEqual(["甲乙 [甲,乙]", "丙", "丙"]);
});

test("a model that hears a span again and cuts it otherwise has an older and a newer version", () => {
  const first = heard("正件", 1, 3);
  expect(shown([first, heard("证件", 1.03, 3), heard("好", 4, 5)])).toEqual(["证件 [正件]", "好"]);
  expect(shown([first, heard("证见", 1.03, 3), corrected(first, "证件")])).toEqual(["证件 [证见]"]);
});

test("the rows hold the words that count, and the others when they are unfolded", () => {
  const [old, large, later] = [heard("正件", 1, 3), heard("证件", 1, 3, "large@1"), heard("好", 9, 10)];
  const items = [old, large, later];
  const said = (opened: ReadonlySet<string>) => rowsOf(items, opened, false).flatMap((row) => (row.type === "event" ? [[row.item.text, row.isFolded, row.isOpen]] : []));
  expect(said(new Set())).toEqual([["证件", false, false], ["好", false, false]]);
  expect(said(new Set([large.event_id]))).toEqual([["证件", false, true], ["正件", true, false], ["好", false, false]]);
});

test("a correction that is not among the rows counts all the same: a search shows words without it", () => {
  const old = heard("正件", 1, 3);
  const row = rowsOf([old], new Set(), false, correctionsOf([corrected(old, "证件")]))[1];
  expect(row).toMatchObject({ type: "event", spoken: { correction: { text: "证件" } } });
});
