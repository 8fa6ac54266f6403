// The findings that a list holds, when the newest page is read again. Plain lists.

import type { Finding } from "../api/findings";

/** How a thing of a list is known, and when it happened. */
export interface Listed<Thing> {
  readonly idOf: (thing: Thing) => string;
  readonly atOf: (thing: Thing) => string;
}

export const FINDINGS: Listed<Finding> = { idOf: ({ finding_id }) => finding_id, atOf: ({ raised_at }) => raised_at };

/**
 * `page`, the newest, then what is in hand and older than all of it. What was reviewed here (`kept`) stays where it is
 * although the filter no longer lets it in, so that nothing jumps under the reader's hand.
 */
export function refreshedAs<Thing>({ idOf, atOf }: Listed<Thing>, inHand: readonly Thing[], page: readonly Thing[], isWhole: boolean, kept: ReadonlySet<string>): readonly Thing[] {
  const known = new Set(page.map(idOf));
  const msOf = (thing: Thing): number => Date.parse(atOf(thing));
  const oldestMs = Math.min(...page.map(msOf));
  const stays = (thing: Thing): boolean => !known.has(idOf(thing)) && (kept.has(idOf(thing)) || (!isWhole && msOf(thing) < oldestMs));
  return [...page, ...inHand.filter(stays)].sort((a, b) => msOf(b) - msOf(a));
}

export function replacedAs<Thing>({ idOf }: Pick<Listed<Thing>, "idOf">, inHand: readonly Thing[], changed: Thing): readonly Thing[] {
  return inHand.map((thing) => (idOf(thing) === idOf(changed) ? changed : thing));
}

/** The one `steps` further down; the ends are kept. "": there is none. */
export function besideAs<Thing>({ idOf }: Pick<Listed<Thing>, "idOf">, inHand: readonly Thing[], id: string, steps: number): string {
  const at = inHand.findIndex((thing) => idOf(thing) === id);
  const wanted = inHand[at < 0 ? 0 : Math.min(Math.max(0, at + steps), inHand.length - 1)];
  return wanted === undefined ? "" : idOf(wanted);
}

export function besideOf(inHand: readonly Finding[], findingId: string, steps: number): string {
  return besideAs(FINDINGS, inHand, findingId, steps);
}

const ALIKE_MS = 600_000; // findings of one stream, kind and state in the same ten minutes of the clock are told as one

/** Of `alike`, those that were folded into `finding`. */
export function foldedInto(finding: Finding, alike: readonly Finding[]): readonly Finding[] {
  const windowOf = ({ raised_at }: Finding): number => Math.floor(Date.parse(raised_at) / ALIKE_MS);
  return alike.filter((each) => each.finding_id !== finding.finding_id && each.state === finding.state && windowOf(each) === windowOf(finding));
}
