// An event as a sentence in the reader's language. What the server says of it in code words is put into words here.

import type { TimelineItem } from "../api/cases";
import { dateOf, isTextKey, language, t, timeOfDay } from "../texts/language";
import { oddsText } from "../faces/odds";
import { renewRefusalOf } from "../faces/refusal";
import type { DeviceClock } from "./deviceClock";
import { mediaSecondsOf } from "./rows";
import { visible } from "./visible";

const LATE_MS = 60_000; // within a minute the outbox, a busy store and a short outage are the ordinary way
const UNKNOWN = "—";

/** What the ids of an event stand for, as far as the page knows. */
export interface Names {
  readonly devices: ReadonlyMap<string, string>; // by stream_id
  readonly steps: ReadonlyMap<string, string>; // kind, by step_id
  readonly duties?: ReadonlyMap<string, Readonly<Record<"zh" | "en", string>>>; // names that the rules give, by duty
  readonly persons?: ReadonlyMap<string, string>; // of galleries, by person_id
}

export function sentenceOf(item: TimelineItem, names: Names): string {
  const key = `event.${item.kind}`;
  if (isTextKey(key)) return t(key, valuesOf(item, names));
  const text = wordOf(item, "text");
  return text === UNKNOWN ? visible(item.kind) : `${visible(item.kind)} · ${text}`;
}

/** The text that a person wrote; "" where the event has none, or its sentence holds it. */
export function writingOf(item: TimelineItem): string {
  return item.kind === "NoteAdded" && typeof item.text === "string" ? visible(item.text) : "";
}

export function whoOf({ by, by_name: name }: TimelineItem): string {
  if (by === "onrecord") return t("timeline.bySystem");
  return visible(typeof name === "string" && name !== "" ? name : by);
}

export function deviceOf({ stream_id: id }: TimelineItem, names: Names): string {
  return id === null || id === undefined || id === "" ? "" : visible(names.devices.get(id) ?? id);
}

/** When the event was learned, where that is much later than when it happened; null otherwise. */
export function lateOf({ at, ends_at, learned_at }: TimelineItem): Date | null {
  const learnedMs = Date.parse(learned_at ?? "");
  return learnedMs - Date.parse(ends_at ?? at) > LATE_MS ? new Date(learnedMs) : null;
}

/** The time that it shows, with its date where that is another one than that of `beside`. */
export function clockText({ at, offset_s }: DeviceClock, beside: Date): { time: string; offset: string } {
  const time = at.toDateString() === beside.toDateString() ? timeOfDay(at) : dateOf(at, true);
  return { time, offset: offsetText(offset_s) };
}

/** With its sign: a clock that is ahead of ours is more than 0. */
export function offsetText(offset_s: number): string {
  return `${offset_s > 0 ? "+" : "−"}${durationOf(Math.abs(offset_s))}`;
}

export function durationOf(seconds: number): string {
  if (seconds < 10) return t("duration.s", { s: Math.round(seconds * 10) / 10 });
  const whole = Math.round(seconds);
  const [h, min, s] = [Math.floor(whole / 3_600), Math.floor(whole / 60) % 60, whole % 60];
  if (h > 0) return t("duration.h", { h, min: two(min), s: two(s) });
  return min > 0 ? t("duration.min", { min, s: two(s) }) : t("duration.s", { s });
}

export function stepOf(kind: string): string {
  return named("stepKind", kind);
}

type Family =
  | "cause" | "how" | "stepKind" | "caseClass" | "caseState" | "caseKind" | "itemKind" | "stage" | "easing" | "speaker"
  | "finding" | "findingGroup" | "findingState" | "findingEnd" | "severity" | "duty" | "verdict" | "procedureNote" | "ruleKind" | "measure"
  | "faceTask" | "faceEnd" | "faceRefusal" | "faceCondition" | "galleryKind" | "galleryState" | "personState" | "suggestionState" | "opinion" | "oddsBasis" | "approvals.state";

/** A code word of the server in the reader's language; as it came where no text is known for it. */
export function named(family: Family, word: string): string {
  const key = `${family}.${word}`;
  return isTextKey(key) ? t(key) : visible(word);
}

/** The name that whoever wrote the rule gave the duty, else the page's own. */
function dutyOf(duty: string, names: Names): string {
  const told = names.duties?.get(duty)?.[language.value === "en" ? "en" : "zh"] ?? "";
  return told === "" ? named("duty", duty) : visible(told);
}

function valuesOf(item: TimelineItem, names: Names): Record<string, string> {
  const step = typeof item["step_kind"] === "string" ? item["step_kind"] : names.steps.get(String(item["step_id"] ?? ""));
  const seconds = (name: string): string => (typeof item[name] === "number" ? durationOf(item[name]) : UNKNOWN);
  return {
    length: durationOf(mediaSecondsOf(item)),
    place: seconds("pts_s"),
    watched: seconds("watched_s"),
    late: seconds("late_s"),
    ahead: seconds("ahead_s"),
    jump: seconds("step_s"),
    behind: seconds("behind_s"),
    stage: named("stage", wordOf(item, "stage")),
    easing: named("easing", wordOf(item, "step")),
    second: typeof item["start_s"] === "number" ? item["start_s"].toFixed(1) : UNKNOWN,
    form: wordOf(item, "form"),
    size: typeof item["size_bytes"] === "number" ? (item["size_bytes"] / 1e6).toFixed(1) : UNKNOWN,
    cause: named("cause", wordOf(item, "cause", "reason")),
    how: named("how", wordOf(item, "how")),
    itemKind: named("itemKind", wordOf(item, "item_kind")),
    step: step === undefined ? UNKNOWN : stepOf(step),
    device: deviceOf(item, names) || wordOf(item, "device_name", "device_id"),
    officer: wordOf(item, "officer", "officer_id"),
    file: wordOf(item, "file"),
    where: wordOf(item, "place"),
    remedy: wordOf(item, "remedy"),
    recording: wordOf(item, "recording_id"),
    relay: wordOf(item, "relay"),
    count: wordOf(item, "count", "packets"),
    title: wordOf(item, "title", "text", "name", "item_id"),
    number: wordOf(item, "number"),
    member: wordOf(item, "name", "who"),
    asked: askedOf(item),
    purpose: wordOf(item, "purpose"),
    decision: named("approvals.state", wordOf(item, "verdict")),
    whyAfter: afterOf(item, "reason"),
    finding: named("finding", wordOf(item, "finding")),
    severity: named("severity", wordOf(item, "severity")),
    sure: percentOf(item["confidence"]),
    coverage: percentOf(item["coverage"]),
    explanation: afterOf(item, "explanation"),
    ended: named("findingEnd", wordOf(item, "reason")),
    review: named("findingState", wordOf(item, "verdict")),
    verdict: named("verdict", wordOf(item, "verdict")),
    duty: dutyOf(wordOf(item, "duty"), names),
    ...facesOf(item, names),
    why: WITH_REASON.has(item.kind) ? wordOf(item, "reason") : afterOf(item, "why"),
    changes: changesOf(item),
  };
}

function askedOf(item: TimelineItem): string {
  const placeOf = (name: string): string => (typeof item[name] === "number" ? (item[name] / 1_000).toFixed(1) : UNKNOWN);
  return item["what"] === "copy" ? t("approvals.copy") : t("approvals.play", { from: placeOf("start_ms"), to: placeOf("end_ms") });
}

const WITH_REASON = new Set(["FindingReviewed", "FaceSwitchedOff", "PersonRefused", "FaceSearched"]);

/** What the sentences of face matching are filled with. */
function facesOf(item: TimelineItem, names: Names): Record<string, string> {
  const expires = typeof item["expires_us"] === "number" ? new Date(item["expires_us"] / 1_000) : null;
  return {
    person: visible(names.persons?.get(String(item["person_id"])) ?? wordOf(item, "name", "person_id")),
    legalBasis: wordOf(item, "legal_basis"),
    expires: expires === null ? UNKNOWN : dateOf(expires, true),
    galleryKind: named("galleryKind", wordOf(item, "gallery_kind")),
    closing: named("faceEnd", wordOf(item, "reason")),
    similarity: typeof item["similarity"] === "number" ? item["similarity"].toFixed(2) : UNKNOWN,
    odds: oddsText(item["one_in"], item["basis"]),
    notice: wordOf(item, "notice"),
    refusal: named("faceRefusal", wordOf(item, "reason")),
    renewReason: renewRefusalOf(wordOf(item, "reason"), ""),
  };
}

const percentOf = (share: unknown): string => (typeof share === "number" ? `${Math.round(share * 100)} %` : UNKNOWN);

/** A sentence that follows another, after a full stop or a space; "" without one. */
function afterOf(item: TimelineItem, field: string): string {
  const text = wordOf(item, field);
  if (text === UNKNOWN) return "";
  return language.value === "en" ? ` ${text}` : `：${text}`;
}

/** The first of `fields` that says something. */
function wordOf(item: TimelineItem, ...fields: readonly string[]): string {
  for (const field of fields) {
    const value = item[field];
    if ((typeof value === "string" && value !== "") || typeof value === "number") return visible(String(value));
  }
  return UNKNOWN;
}

function changesOf(item: TimelineItem): string {
  const changed = item["changed"];
  if (typeof changed !== "object" || changed === null) return UNKNOWN;
  const said = (value: unknown): string => visible(typeof value === "string" ? value : JSON.stringify(value));
  return Object.entries(changed as Record<string, { from?: unknown; to?: unknown }>).map(([name, { from, to }]) => `${visible(name)}: ${said(from)} → ${said(to)}`).join("; ");
}

const two = (n: number): string => String(n).padStart(2, "0");
