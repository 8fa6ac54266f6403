// The findings that a list holds, when the newest page is read again. Plain lists.

import type { Finding } from "../api/findings";

/**
 * `page`, the newest, then what is in hand and older than all of it. What was reviewed here (`kept`) stays where it is
 * although the filter no longer lets it in, so that nothing jumps under the reader's hand.
 */
export function refreshed(inHand: readonly Finding[], page: readonly Finding[], isWhole: boolean, kept: ReadonlySet<string>): readonly Finding[] {
  const known = new Set(page.map(({ finding_id }) => finding_id));
  const oldestMs = Math.min(...page.map(({ raised_at }) => Date.parse(raised_at)));
  const stays = ({ finding_id, raised_at }: Finding): boolean => !known.has(finding_id) && (kept.has(finding_id) || (!isWhole && Date.parse(raised_at) < oldestMs));
  return [...page, ...inHand.filter(stays)].sort((a, b) => Date.parse(b.raised_at) - Date.parse(a.raised_at));
}

export function replaced(inHand: readonly Finding[], changed: Finding): readonly Finding[] {
  return inHand.map((finding) => (finding.finding_id === changed.finding_id ? changed : finding));
}

/** The one `steps` further down; the ends are kept. "": there is none. */
export function besideOf(inHand: readonly Finding[], findingId: string, steps: number): string {
  const at = inHand.findIndex(({ finding_id }) => finding_id === findingId);
  const wanted = at < 0 ? 0 : Math.min(Math.max(0, at + steps), inHand.length - 1);
  return inHand[wanted]?.finding_id ?? "";
}

const ALIKE_MS = 600_000; // findings of one stream, kind and state in the same ten minutes of the clock are told as one

/** Of `alike`, those that were folded into `finding`. */
export function foldedInto(finding: Finding, alike: readonly Finding[]): readonly Finding[] {
  const windowOf = ({ raised_at }: Finding): number => Math.floor(Date.parse(raised_at) / ALIKE_MS);
  return alike.filter((each) => each.finding_id !== finding.finding_id && each.state === finding.state && windowOf(each) === windowOf(finding));
}
