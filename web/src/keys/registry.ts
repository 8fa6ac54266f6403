// Every key of the wall and of the lists of findings and of suggestions, once: the help sheet, the tooltips, the tests and the keyboard read it.

import type { TextKey } from "../texts/language";

export type CommandId =
  | "focus" | "previous" | "next" | "open" | "back" | "mute" | "fullScreen" | "captions" | "findings"
  | "layout1" | "layout4" | "layout9" | "previousPage" | "nextPage" | "help";

export type ReviewCommandId = "nextFinding" | "previousFinding" | "confirmed" | "rejected" | "resolved";

export type OpinionCommandId = "nextSuggestion" | "previousSuggestion" | "same" | "different" | "cannot_tell";

export interface Command<Id extends string = CommandId> {
  readonly id: Id;
  /** Keys as shown; the first names the command in tooltips. */
  readonly shown: readonly string[];
  readonly label: TextKey;
  readonly matches: (key: KeyPress) => boolean;
}

export type KeyPress = Pick<KeyboardEvent, "key" | "code" | "shiftKey" | "ctrlKey" | "altKey" | "metaKey" | "isComposing">;

const named = (...keys: string[]) => (press: KeyPress): boolean => keys.includes(press.key);
const letter = (key: string) => (press: KeyPress): boolean => press.key.toLowerCase() === key && !press.shiftKey;
const digitOf = (press: KeyPress): string | null => /^(?:Digit|Numpad)([1-9])$/.exec(press.code)?.[1] ?? null;
const shiftDigit = (digit: string) => (press: KeyPress): boolean => press.shiftKey && digitOf(press) === digit;

export const COMMANDS: readonly Command[] = [
  { id: "focus", shown: ["1", "…", "9"], label: "key.focus", matches: (press) => !press.shiftKey && digitOf(press) !== null },
  { id: "previous", shown: ["←", "↑"], label: "key.previous", matches: named("ArrowLeft", "ArrowUp") },
  { id: "next", shown: ["→", "↓"], label: "key.next", matches: named("ArrowRight", "ArrowDown") },
  { id: "open", shown: ["Enter"], label: "key.open", matches: named("Enter") },
  { id: "back", shown: ["Esc"], label: "key.back", matches: named("Escape") },
  { id: "mute", shown: ["M"], label: "key.mute", matches: letter("m") },
  { id: "fullScreen", shown: ["F"], label: "key.fullScreen", matches: letter("f") },
  { id: "captions", shown: ["C"], label: "key.captions", matches: letter("c") },
  { id: "findings", shown: ["A"], label: "key.findings", matches: letter("a") },
  { id: "layout1", shown: ["Shift", "1"], label: "key.layout1", matches: shiftDigit("1") },
  { id: "layout4", shown: ["Shift", "4"], label: "key.layout4", matches: shiftDigit("4") },
  { id: "layout9", shown: ["Shift", "9"], label: "key.layout9", matches: shiftDigit("9") },
  { id: "previousPage", shown: ["PgUp"], label: "key.previousPage", matches: named("PageUp") },
  { id: "nextPage", shown: ["PgDn"], label: "key.nextPage", matches: named("PageDown") },
  { id: "help", shown: ["?"], label: "key.help", matches: named("?", "？") },
];

/** Those of a list of findings, while the reader is in it. */
export const REVIEW_COMMANDS: readonly Command<ReviewCommandId>[] = [
  { id: "nextFinding", shown: ["J"], label: "key.nextFinding", matches: letter("j") },
  { id: "previousFinding", shown: ["K"], label: "key.previousFinding", matches: letter("k") },
  { id: "confirmed", shown: ["C"], label: "findings.confirm", matches: letter("c") },
  { id: "rejected", shown: ["R"], label: "findings.reject", matches: letter("r") },
  { id: "resolved", shown: ["S"], label: "findings.resolve", matches: letter("s") },
];

/** Those of a list of suggestions, while the reader is in it. */
export const OPINION_COMMANDS: readonly Command<OpinionCommandId>[] = [
  { id: "nextSuggestion", shown: ["J"], label: "key.nextSuggestion", matches: letter("j") },
  { id: "previousSuggestion", shown: ["K"], label: "key.previousSuggestion", matches: letter("k") },
  { id: "same", shown: ["S"], label: "opinion.same", matches: letter("s") },
  { id: "different", shown: ["D"], label: "opinion.different", matches: letter("d") },
  { id: "cannot_tell", shown: ["T"], label: "opinion.cannot_tell", matches: letter("t") },
];

/** The command of a key press; null while composing, with a command key held, or when no key of ours. */
export const commandOf = (press: KeyPress): Command | null => amongst(COMMANDS, press);
export const reviewCommandOf = (press: KeyPress): Command<ReviewCommandId> | null => amongst(REVIEW_COMMANDS, press);
export const opinionCommandOf = (press: KeyPress): Command<OpinionCommandId> | null => amongst(OPINION_COMMANDS, press);

function amongst<Id extends string>(commands: readonly Command<Id>[], press: KeyPress): Command<Id> | null {
  if (press.isComposing || press.ctrlKey || press.altKey || press.metaKey) return null;
  return commands.find(({ matches }) => matches(press)) ?? null;
}

/** The tile number, from 0, that a digit key names. */
export function tileOf(press: KeyPress): number {
  return Number(digitOf(press) ?? "1") - 1;
}

/** Whether keys belong to what has the focus (someone types there). */
export function isTypingIn(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || target.matches("input, textarea, select"));
}
