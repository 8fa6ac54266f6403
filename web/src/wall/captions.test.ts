import { expect, test } from "vitest";
import type { Caption } from "../api/captions";
import { caption } from "./captions.made";
import { fresh, lastFinalOf, SHOWN_MS, shownOf, taken, whole, type CaptionLines } from "./captions";

const after = (...captions: Partial<Caption>[]): CaptionLines => captions.reduce<CaptionLines>((lines, change, i) => taken(lines, caption(change), i), []);
const words = (lines: CaptionLines): string[] => shownOf(lines).map(({ settled, unsettled }) => `${settled}|${unsettled}`);

test("a newer hypothesis takes the place of the one before, its settled part apart from the rest", () => {
  expect(words(after({ text: "请出事", settled: 0 }, { text: "请出示营业", settled: 3 }))).toEqual(["请出示|营业"]);
});

test("a final is settled whole, and no hypothesis that comes behind it takes it back", () => {
  const lines = after({ text: "请出示", settled: 1 }, { text: "请出示营业执照。", is_final: true }, { text: "请出事", settled: 0 });
  expect(words(lines)).toEqual(["请出示营业执照。|"]);
});

test("a final told anew is put right", () => {
  expect(words(after({ text: "请出事", is_final: true }, { text: "请出示", is_final: true }))).toEqual(["请出示|"]);
});

test("two lines are shown: older utterances make room", () => {
  const lines = after(...[1, 2, 3, 4, 5].map((n) => ({ utterance: n, start_s: n, text: `${n}`, is_final: true })));
  expect(words(lines)).toEqual(["4|", "5|"]);
  expect(lines.length).toBeLessThanOrEqual(3);
});

test("a late final of earlier words replaces no newer ones and says how late it is", () => {
  const late = { utterance: 3, start_s: 1, text: "早先的话", is_final: true, late_s: 5.2 };
  const one = after({ utterance: 5, start_s: 9, text: "新", is_final: true }, late);
  expect(words(one)).toEqual(["早先的话|", "新|"]);
  expect(one.map(({ lateS }) => lateS)).toEqual([5, null]);
  const two = after({ utterance: 5, start_s: 9, text: "新", is_final: true }, { utterance: 6, start_s: 12, text: "更新" }, late);
  expect(words(two)).toEqual(["新|", "|更新"]);
});

test("a late final is shown once there is room, and is then over like any other", () => {
  let lines = taken([], caption({ utterance: 5, start_s: 9, text: "新", is_final: true }), 0);
  lines = taken(lines, caption({ utterance: 6, start_s: 12, text: "更新", is_final: true }), 100);
  lines = taken(lines, caption({ utterance: 3, start_s: 1, text: "早先", is_final: true, late_s: 9 }), 5_000);
  expect(words(fresh(lines, SHOWN_MS))).toEqual(["早先|", "更新|"]);
  expect(fresh(lines, SHOWN_MS + 5_000)).toEqual([]);
});

test("a delay of up to two seconds is in time with the picture", () => {
  expect(after({ late_s: 2 })[0]?.lateS).toBeNull();
  expect(after({ late_s: 2.4 })[0]?.lateS).toBe(2);
});

test("a line is over eight seconds after it was last heard, a hypothesis that nobody finishes too", () => {
  for (const is_final of [true, false]) {
    const lines = taken([], caption({ is_final }), 1_000);
    expect(fresh(lines, 8_999)).toBe(lines);
    expect(fresh(lines, 9_000)).toEqual([]);
  }
});

test("a hypothesis found to be nothing goes", () => {
  expect(after({ text: "嗯" }, { text: " ", is_final: true })).toEqual([]);
});

test("a break leaves what was said whole", () => {
  expect(words(whole(after({ text: "好的。", is_final: true }, { utterance: 2, start_s: 20, text: "那我" })))).toEqual(["好的。|"]);
});

test("after the analysis began anew the same number is another utterance", () => {
  const lines = after({ start_s: 10, end_s: 12, text: "好的。", is_final: true }, { start_s: 15, end_s: 16, text: "那我", settled: 1 });
  expect(words(lines)).toEqual(["那|我"]);
});

test("the settled part is counted in characters, not in units of a string", () => {
  expect(words(after({ text: "𠮷野家的", settled: 2 }))).toEqual(["𠮷野|家的"]);
});

test("of an utterance without an end only the newest words are held", () => {
  const [line] = after({ text: "话".repeat(5_000) + "完", settled: 4_990 });
  expect(line?.settled).toBe("…" + "话".repeat(189));
  expect(line?.unsettled).toBe("话".repeat(10) + "完");
});

test("words are marked with their language", () => {
  expect(after({ text: "这是 OK 的" })[0]?.language).toBe("zh-CN");
  expect(after({ text: "show me the licence" })[0]?.language).toBe("en");
});

test("read out is the final that came last, even if it was said earlier", () => {
  const lines = after(
    { utterance: 5, start_s: 9, text: "新", is_final: true }, { utterance: 3, start_s: 1, text: "早先", is_final: true }, { utterance: 6, start_s: 14, text: "还在" },
  );
  expect(lastFinalOf(lines)?.settled).toBe("早先");
  expect(lastFinalOf(after({ text: "还在" }))).toBeUndefined();
});
