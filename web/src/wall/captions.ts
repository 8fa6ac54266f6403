// The caption lines that a tile shows. Plain lists; time is passed in, nothing here knows the screen.

import type { Caption, Speaker } from "../api/captions";

export const SHOWN_MS = 8_000; // a line that was not heard of for so long is no longer of now
export const SHOWN_LINES = 2;
const HELD_LINES = SHOWN_LINES + 1; // a late one waits for room
const LATE_S = 2; // a caption of less delay is in time with the picture
const SIGNS_MOST = 200; // more than two lines of the largest tile

export interface CaptionLine {
  readonly utterance: number;
  readonly startS: number;
  readonly endS: number;
  readonly settled: string; // no later hypothesis changes it
  readonly unsettled: string; // empty once final
  readonly isFinal: boolean;
  readonly lateS: number | null; // null: in time
  readonly speaker: Speaker;
  readonly language: "zh-CN" | "en";
  readonly heardMs: number;
}

export type CaptionLines = readonly CaptionLine[]; // by the time they were said, the newest last

/** The lines with `caption` in them: it takes the place of an earlier hypothesis, never of what was said later. */
export function taken(before: CaptionLines, caption: Caption, nowMs: number): CaptionLines {
  const lines = fresh(before, nowMs);
  const known = lines.find(({ utterance }) => utterance === caption.utterance);
  if (known !== undefined && isOutdated(caption, known)) return lines;
  const others = lines.filter((line) => line !== known);
  if (caption.text.trim() === "") return others;
  return [...others, lineOf(caption, nowMs)].sort((a, b) => a.startS - b.startS || a.utterance - b.utterance).slice(-HELD_LINES);
}

/** A hypothesis that comes behind its own final. After a restart of the analysis the same number is another utterance. */
function isOutdated(caption: Caption, known: CaptionLine): boolean {
  return known.isFinal && !caption.is_final && caption.start_s < known.endS;
}

function lineOf(caption: Caption, nowMs: number): CaptionLine {
  const signs = [...caption.text]; // code points: a rare character is two units of a string
  const cut = Math.max(0, signs.length - SIGNS_MOST);
  const settledCount = caption.is_final ? signs.length : Math.max(cut, caption.settled);
  return {
    utterance: caption.utterance,
    startS: caption.start_s,
    endS: caption.end_s,
    settled: (cut > 0 ? "…" : "") + signs.slice(cut, settledCount).join(""),
    unsettled: signs.slice(settledCount).join(""),
    isFinal: caption.is_final,
    lateS: caption.late_s > LATE_S ? Math.round(caption.late_s) : null,
    speaker: caption.speaker,
    language: /\p{Script=Han}/u.test(caption.text) ? "zh-CN" : "en",
    heardMs: nowMs,
  };
}

/** The same list while none of its lines is over. */
export function fresh(lines: CaptionLines, nowMs: number): CaptionLines {
  const isFresh = (line: CaptionLine): boolean => nowMs - line.heardMs < SHOWN_MS;
  return lines.every(isFresh) ? lines : lines.filter(isFresh);
}

/** What was said whole: after a break nobody will finish the rest. */
export function whole(lines: CaptionLines): CaptionLines {
  return lines.every(({ isFinal }) => isFinal) ? lines : lines.filter(({ isFinal }) => isFinal);
}

/** Those in sight: the newest of them, by the time they were said. */
export function shownOf(lines: CaptionLines): CaptionLines {
  return lines.slice(-SHOWN_LINES);
}

/** The final that came last; undefined without one. */
export function lastFinalOf(lines: CaptionLines): CaptionLine | undefined {
  return lines.filter(({ isFinal }) => isFinal).reduce<CaptionLine | undefined>(
    (last, line) => (last === undefined || line.heardMs >= last.heardMs ? line : last), undefined,
  );
}
