// Which findings of a timeline a person confirmed, and which suggestions two did. Plain data work.

import type { TimelineItem } from "../api/cases";

/** The ids of findings whose last review, as far as it is in hand, confirmed them, and of confirmed suggestions. */
export function confirmedOf(items: readonly TimelineItem[]): ReadonlySet<string> {
  const last = new Map<string, TimelineItem>();
  for (const item of items) {
    const id = item["finding_id"];
    if (item.kind === "FindingReviewed" && typeof id === "string" && (last.get(id)?.seq ?? -1) < item.seq) last.set(id, item);
  }
  const suggestions = items.flatMap(({ kind, suggestion_id: id }) => (kind === "FaceConfirmed" && typeof id === "string" ? [id] : []));
  return new Set([...suggestions, ...[...last].flatMap(([id, { verdict }]) => (verdict === "confirmed" ? [id] : []))]);
}
