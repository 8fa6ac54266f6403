import { beforeAll, expect, test, vi } from "vitest";
import type { TimelineItem } from "../api/cases";

const names = { devices: new Map<string, string>(), steps: new Map<string, string>() };
const item = (kind: string, more: Record<string, unknown>): TimelineItem => ({ event_id: "e", seq: 0, kind, at: "2026-11-24T01:00:00.000Z", by: "onrecord", ...more });

const ITEMS: readonly (readonly [TimelineItem, string, string])[] = [
  [
    item("AnalysisGap", { stage: "speech", cause: "worker_lost", start_s: 10, end_s: 22.5 }),
    "语音识别缺 13 秒：分析进程中断，稍后从录像补做",
    "Speech recognition missed 13 s: the analysis process was lost; it follows later from the recording",
  ],
  [
    item("AnalysisGapClosed", { stage: "speech", start_s: 10, end_s: 80, model: "large@1" }),
    "语音识别补做完成：此前缺的 1 分 10 秒",
    "Speech recognition caught up on 1 min 10 s that it had missed",
  ],
  [
    item("AnalysisEased", { worker: "w1", step: "small_model", behind_s: 7.5 }),
    "分析负载变化：改用小模型（落后 7.5 秒）",
    "Load of the analysis: a smaller model is used (7.5 s behind)",
  ],
  [
    item("WordsCorrected", { text: "出示\u202e证件", start_s: 12.34, end_s: 14 }),
    "录像第 12.3 秒的话语经核对为“出示⟨U+202E⟩证件”",
    "Words at second 12.3 of the recording, checked: “出示⟨U+202E⟩证件”",
  ],
  [item("WordsFetched", { form: "vtt" }), "调阅话语文字（vtt）", "Spoken words were read (vtt)"],
];

beforeAll(async () => {
  await import("vue"); // looks for a page once, and finds none
  vi.stubGlobal("localStorage", { getItem: () => "zh-CN", setItem: () => undefined });
  vi.stubGlobal("document", { documentElement: {} });
});

test("what the analysis did and what people made of words is said in both languages", async () => {
  const { language } = await import("../texts/language");
  const { sentenceOf } = await import("./sentence");
  for (const [told, zh, en] of ITEMS) {
    language.value = "zh-CN";
    expect(sentenceOf(told, names)).toBe(zh);
    language.value = "en";
    expect(sentenceOf(told, names)).toBe(en);
  }
});

test("every cause, step and speaker that a fact can name has its text", async () => {
  const { isTextKey } = await import("../texts/language");
  const causes = ["worker_lost", "behind", "overload", "stage_failed", "model_missing", "feed_lost", "server_stopped"].map((word) => `cause.${word}`);
  const steps = ["whole", "no_partials", "long_batches", "small_model", "gaps"].map((word) => `easing.${word}`);
  const speakers = ["wearer", "other", "unknown"].map((word) => `speaker.${word}`);
  for (const key of [...causes, ...steps, ...speakers, "stage.speech"]) expect(isTextKey(key), key).toBe(true);
});
