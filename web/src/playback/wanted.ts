// A second of a recording that somebody wants to see: what to ask for around it, and what may be played from it on. Plain.

import type { Span } from "../api/people";

const BEFORE_S = 2;
const AFTER_S = 18;

/** From and until where an approval is asked for; without a wanted second, the beginning. */
export function around(wanted_s: number | null, length_s: number): [number, number] {
  const end_s = Math.floor(length_s) || BEFORE_S + AFTER_S; // one that has just begun
  const from = Math.min(Math.max(0, Math.floor(wanted_s ?? 0) - (wanted_s === null ? 0 : BEFORE_S)), end_s - 1);
  return [Math.max(0, from), Math.min(end_s, Math.max(0, from) + BEFORE_S + AFTER_S)];
}

/** What of `allowed` may be played from a moment before the wanted second on; null: nothing there. */
export function from(wanted_s: number | null, allowed: readonly Span[]): Span | null {
  if (wanted_s === null) return null;
  const spans = allowed.filter(({ start_s, end_s }) => start_s <= wanted_s && wanted_s < end_s);
  const longest = spans.sort((one, other) => other.end_s - one.end_s)[0];
  return longest === undefined ? null : { start_s: Math.max(longest.start_s, wanted_s - BEFORE_S), end_s: longest.end_s };
}
