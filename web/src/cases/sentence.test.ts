import { beforeAll, expect, test, vi } from "vitest";
import type { TimelineItem } from "../api/cases";

const names = { devices: new Map<string, string>(), steps: new Map([["s1", "inspection"]]), duties: new Map([["duty_of_a_lawyer", { zh: "律师写的事项", en: "A lawyer's duty" }]]), persons: new Map([["per-2", "赵六"]]) };
const item = (kind: string, more: Record<string, unknown>): TimelineItem => ({ event_id: "e", seq: 0, kind, at: "2026-11-24T01:00:00.000Z", by: "onrecord", ...more });

const ITEMS: readonly (readonly [TimelineItem, string, string])[] = [
  [item("MemberAdded", { who: "acc_1", name: "林晓岚" }), "林晓岚 加入本案", "林晓岚 joined this case"],
  [
    item("ApprovalAsked", { what: "play", start_ms: 10_000, end_ms: 30_500, purpose: "复核" }),
    "申请：回放录像 10.0–30.5 秒，用途：复核",
    "Asked for: Play a recording, 10.0–30.5 s; purpose: 复核",
  ],
  [item("ApprovalDecided", { verdict: "refused", reason: "范围过大" }), "审批：已驳回：范围过大", "Application refused. 范围过大"],
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
  [
    item("FindingRaised", { finding: "lens_covered", group: "integrity", severity: "high", confidence: 0.91, explanation: "画面被遮住 3 秒。", start_s: 4 }),
    "机器提示：镜头被遮挡（严重，把握 91 %）：画面被遮住 3 秒。",
    "Noticed by machine: Lens covered (High, 91 % sure) 画面被遮住 3 秒。",
  ],
  [item("FindingEnded", { finding: "frozen", reason: "gone", start_s: 4, end_s: 16 }), "画面冻结结束，持续 12 秒（现象消失）", "Picture frozen over after 12 s (gone)"],
  [
    item("FindingReviewed", { finding: "shouting", verdict: "rejected", reason: "正常\u202e说话", by_name: "张三" }),
    "已驳回“高声喊叫”，理由：正常⟨U+202E⟩说话",
    "Rejected “Shouting”, because: 正常⟨U+202E⟩说话",
  ],
  [
    item("ProcedureJudged", { step_id: "s1", duty: "identity_stated", verdict: "not_observed", coverage: 0.924, why: "60 秒内没有听到。" }),
    "现场检查·表明身份：未见（听清 92 %）：60 秒内没有听到。",
    "On-site inspection, Identity stated: Not observed (92 % heard well) 60 秒内没有听到。",
  ],
  [
    item("ProcedureJudged", { step_id: "s1", duty: "new_duty_of_a_lawyer", verdict: "observed", coverage: 1, why: "" }),
    "现场检查·new_duty_of_a_lawyer：已见（听清 100 %）",
    "On-site inspection, new_duty_of_a_lawyer: Observed (100 % heard well)",
  ],
  [item("ProcedureJudged", { step_id: "s1", duty: "duty_of_a_lawyer", verdict: "cannot_tell", coverage: 0.4 }), "现场检查·律师写的事项：无法判断（听清 40 %）", "On-site inspection, A lawyer's duty: Cannot tell (40 % heard well)"],
  [item("TextSeen", { text: "行政执法证", asked: "certificate_shown", start_s: 4 }), "画面中的文字（机器识别）：“行政执法证”", "Text in the picture, read by machine: “行政执法证”"],
  [
    item("FaceSuggested", { person_id: "p1", name: "王\u202e五", similarity: 0.6149, one_in: 9_743, basis: "fitted", start_s: 4 }),
    "机器提示：画面里的人像“王⟨U+202E⟩五”（相似度 0.61，约每 9,700 名陌生人中有 1 人同样相似）",
    "Suggested by machine: somebody looks like “王⟨U+202E⟩五” (similarity 0.61, about 1 of 9,700 strangers would look as alike)",
  ],
  [
    item("FaceSuggested", { person_id: "p1", name: "王五", similarity: 0.5, one_in: 10_000, basis: "stated" }),
    "机器提示：画面里的人像“王五”（相似度 0.50，误认率未知：只有模型提供方的说法，没有在本地测量）",
    "Suggested by machine: somebody looks like “王五” (similarity 0.50, the rate is unknown: only the model's maker states one, nothing was measured here)",
  ],
  [item("FaceConfirmed", { person_id: "p1", name: "王五" }), "两人确认：画面里的人是“王五”", "Two people confirmed: it is “王五”"],
  [item("PersonEnrolled", { person_id: "per-2" }), "“赵六”加入人脸库", "“赵六” enrolled in the gallery"],
  [item("PersonRefused", { person_id: "per-9", reason: "照片不是他" }), "“per-9”不予加入人脸库，理由：照片不是他", "“per-9” refused for the gallery, because: 照片不是他"],
  [
    item("EnrolmentRefused", { gallery_kind: "case", reason: "several_persons", detail: "x" }),
    "与人脸库（案件当事人）比对后未予登记：照片不都是同一个人，或者不是库中的这个人。",
    "Compared with a gallery (Parties of a case), and not enrolled: The pictures are not all of one person, or not of the one in the gallery.",
  ],
  [item("TemplateRenewed", { person_id: "per-2" }), "“赵六”的人脸特征已按现用模型重新提取，旧特征已销毁", "Template of “赵六” made anew with another model; the old one destroyed"],
  [
    item("TemplateNotRenewed", { person_id: "per-2", template_id: "ftpl_1", reason: "no_key" }),
    "“赵六”的一份人脸特征未能重新提取，不参与比对：图片的密钥已销毁。",
    "A template of “赵六” could not be made anew and is not compared: The key of the picture was destroyed.",
  ],
  [
    item("GalleryClosed", { gallery_id: "g1", reason: "case_closed", why: "", templates: 3, persons: 2 }),
    "人脸库关闭（案件已结）：密钥已销毁，人脸特征已删除",
    "Gallery closed (its case was closed): keys destroyed, templates deleted",
  ],
  [item("FaceOpinionGiven", { suggestion_id: "s", given: 1 }), "对比对提示给出了意见，决定前不公开", "An opinion on a suggestion was given; not shown until it is decided"],
  [item("WordsFetched", { form: "vtt" }), "调阅话语文字（vtt）", "Spoken words were read (vtt)"],
];

beforeAll(async () => {
  await import("vue"); // looks for a page once, and finds none
  vi.stubGlobal("localStorage", { getItem: () => "zh-CN", setItem: () => undefined });
  vi.stubGlobal("document", { documentElement: {} });
});

test("what the analysis did and noticed, and what people made of it, is said in both languages", async () => {
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

test("every finding, duty, severity, verdict and end that a fact can name has its text", async () => {
  const { isTextKey } = await import("../texts/language");
  const { FINDING_GROUPS, FINDING_STATES, SEVERITIES } = await import("../api/findings");
  const { STANDINGS } = await import("../procedure/checklist");
  const { REASONS } = await import("../findings/reasons");
  const words: Readonly<Record<string, readonly string[]>> = {
    finding: [
      "lens_covered", "black", "over_exposed", "frozen", "blurred", "upside_down", "sound_missing", "sound_clipped", "sound_cut", "sound_drowned", "clock_off", "stream_thin", "undecodable",
      "shouting", "bang", "alarm", "crowd",
      "uncivil_officer", "uncivil_other", "threat", "bribe_offered", "recording_refused", "obstruction", "conflict", "officer_distress", "duty_missing",
    ],
    duty: [
      "identity_stated", "certificate_shown", "recording_notified", "grounds_stated", "recusal_informed", "statement_and_defence_informed", "evidence_list_read", "signature_requested", "two_officers",
      "duty_to_answer_truthfully", "hearing_right_informed", "remedies_informed", "closing_stated",
    ],
    findingGroup: FINDING_GROUPS, findingState: FINDING_STATES, severity: SEVERITIES, verdict: STANDINGS, reason: REASONS,
    findingEnd: ["gone", "source_over", "worker_lost"], procedureNote: ["late", "out_of_order", "by_unknown_speaker"],
  };
  for (const [family, known] of Object.entries(words)) for (const word of known) expect(isTextKey(`${family}.${word}`), `${family}.${word}`).toBe(true);
});

test("every fact, state, refusal and basis of face matching has its text", async () => {
  const { isTextKey } = await import("../texts/language");
  const { KINDS } = await import("./kinds");
  const { GALLERY_KINDS, OPINIONS, SUGGESTION_STATES } = await import("../api/faces");
  const words: Readonly<Record<string, readonly string[]>> = {
    event: KINDS.face, audit: KINDS.face, galleryKind: GALLERY_KINDS, opinion: OPINIONS, suggestionState: SUGGESTION_STATES, galleryState: ["open", "closed"],
    personState: ["proposed", "enrolled", "refused", "deleted", "gone"], faceEnd: ["by_person", "refused", "expired", "case_closed", "switched_off"], faceTask: ["detector", "embedder"],
    oddsBasis: ["measured", "fitted"],
    faceRefusal: ["no_face", "several_faces", "several_persons", "too_small", "blurred", "turned", "too_dark", "too_bright", "cut_off", "unreadable", "too_large", "bomb", "empty", "duplicate"],
  };
  for (const [family, known] of Object.entries(words)) for (const word of known) expect(isTextKey(`${family}.${word}`), `${family}.${word}`).toBe(true);
});

test("every kind that the timeline groups has its sentence", async () => {
  const { isTextKey } = await import("../texts/language");
  const { KINDS } = await import("./kinds");
  for (const kind of Object.values(KINDS).flat()) expect(isTextKey(`event.${kind}`), kind).toBe(true);
});
