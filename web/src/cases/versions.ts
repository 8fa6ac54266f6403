// Words as they count: a person's correction over every model, versions of one span together. The server's rule, word for
// word (cases/words.py): a corrected version, the one corrected last; else a real model's before a demonstration's; else
// the one learned last. Plain data work.

import type { TimelineItem } from "../api/cases";

const SAME_SPAN = 0.5; // of the shorter one that two utterances share at least to be versions of one another

/** What is known of words that are shown. others: what other versions have for the same span, folded under these words. */
export interface Spoken {
  readonly correction: TimelineItem | null;
  readonly others: readonly TimelineItem[];
}

interface Said {
  readonly item: TimelineItem;
  readonly model: string;
  readonly start_s: number;
  readonly end_s: number;
}

/** Whether `model` (name@version) was made to show, not for real speech. */
export function isDemoModel(model: string): boolean {
  return (model.split("@")[0] ?? "").split("-").includes("demo");
}

/** The newest correction of each, by the id of the event whose words it corrects. */
export function correctionsOf(items: Iterable<TimelineItem>): ReadonlyMap<string, TimelineItem> {
  const found = new Map<string, TimelineItem>();
  for (const item of items) {
    const of = item["of_event"];
    if (item.kind !== "WordsCorrected" || typeof of !== "string") continue;
    if ((found.get(of)?.seq ?? -1) < item.seq) found.set(of, item);
  }
  return found;
}

/** By the id of every WordsHeard of `items`: what is known of it; null: it is folded under other words. */
export function spokenOf(items: readonly TimelineItem[], corrections: ReadonlyMap<string, TimelineItem>): ReadonlyMap<string, Spoken | null> {
  const streams = new Map<string, Said[]>();
  for (const item of items) {
    if (item.kind !== "WordsHeard") continue;
    const { start_s, end_s, model } = item;
    const stream = item.stream_id ?? "";
    const said = { item, model: String(model ?? ""), start_s: Number(start_s ?? 0), end_s: Number(end_s ?? 0) };
    const known = streams.get(stream);
    if (known === undefined) streams.set(stream, [said]);
    else known.push(said);
  }
  const found = new Map<string, Spoken | null>();
  for (const said of streams.values()) for (const group of groupsOf(said)) tell(group, corrections, found);
  return found;
}

function groupsOf(said: Said[]): readonly Said[][] {
  said.sort((one, other) => one.start_s - other.start_s || one.end_s - other.end_s);
  let groups: Said[][] = [];
  let open: Said[][] = []; // that may still be shared with
  for (const each of said) {
    open = open.filter((group) => group.some(({ end_s }) => end_s > each.start_s));
    const joined = open.filter((group) => group.some((other) => isSameSpan(each, other)));
    const [group = [], ...more] = joined;
    if (joined.length === 0) {
      groups.push(group);
      open.push(group);
    }
    group.push(each, ...more.flat());
    if (more.length > 0) {
      groups = groups.filter((kept) => !more.includes(kept));
      open = open.filter((kept) => !more.includes(kept));
    }
  }
  return groups;
}

function isSameSpan(one: Said, other: Said): boolean {
  const shared_s = Math.min(one.end_s, other.end_s) - Math.max(one.start_s, other.start_s);
  return shared_s > 0 && shared_s >= SAME_SPAN * Math.min(one.end_s - one.start_s, other.end_s - other.start_s);
}

function tell(group: readonly Said[], corrections: ReadonlyMap<string, TimelineItem>, found: Map<string, Spoken | null>): void {
  const correctedSeq = ({ item }: Said): number => corrections.get(item.event_id)?.seq ?? -1;
  const rankOf = (said: readonly Said[]): readonly number[] => [
    Math.max(...said.map(correctedSeq)),
    isDemoModel(said[0]?.model ?? "") ? 0 : 1,
    Math.max(...said.map(({ item }) => item.seq)),
  ];
  const byStanding = [...group].sort((one, other) => correctedSeq(other) - correctedSeq(one) || other.item.seq - one.item.seq);
  const ranked = versionsOf(byStanding).sort((one, other) => {
    const [high, low] = [rankOf(other), rankOf(one)];
    const at = high.findIndex((value, i) => value !== low[i]);
    return at < 0 ? 0 : (high[at] ?? 0) - (low[at] ?? 0);
  });
  const others = ranked.slice(1).flatMap((said) => said.map(({ item }) => item));
  ranked[0]?.forEach(({ item }, i) => {
    found.set(item.event_id, { correction: corrections.get(item.event_id) ?? null, others: i === 0 ? others : [] });
  });
  for (const { event_id } of others) found.set(event_id, null);
}

/** A model that heard the span again, and cut it a little differently, has two versions of it. */
function versionsOf(byStanding: readonly Said[]): Said[][] {
  const found: Said[][] = [];
  for (const each of byStanding) {
    const version = found.find((kept) => kept[0]?.model === each.model && !kept.some((other) => isSameSpan(each, other)));
    if (version === undefined) found.push([each]);
    else version.push(each);
  }
  for (const version of found) version.sort((one, other) => one.start_s - other.start_s);
  return found;
}
