// The routes of the record that this page asks. Paths and shapes: docs/api; anything else the server says is ignored.

import { ask } from "./server";
import { whole } from "./whole";

export interface Case {
  readonly case_id: string;
  readonly number: string;
  readonly title: string;
  readonly party?: string | null;
  readonly kind: string;
  readonly class: string;
  readonly state: string;
  readonly opened_at: string;
}

export interface Step {
  readonly step_id: string;
  readonly kind: string;
  readonly started_at: string;
  readonly ended_at: string | null;
}

/** One event as it is told: what every event has, and by name what only its kind has. */
export interface TimelineItem {
  readonly event_id: string;
  readonly seq: number; // its place in the log: the order in which it was learned
  readonly kind: string;
  readonly at: string;
  readonly ends_at?: string | null;
  readonly learned_at?: string | null;
  readonly stream_id?: string | null;
  readonly by: string;
  readonly text?: string | null;
  readonly [name: string]: unknown;
}

export interface Page<Item> {
  readonly items: readonly Item[];
  readonly next_cursor: string | null;
}

export interface TimelineAsk {
  readonly kinds: readonly string[]; // empty: all
  readonly words: string;
  readonly limit: number;
  readonly cursor: string | null;
}

const under = (caseId: string): string => `/api/v1/cases/${encodeURIComponent(caseId)}`;

export async function listCases(cursor: string | null, signal: AbortSignal): Promise<Page<Case>> {
  const query = new URLSearchParams({ limit: "100", ...(cursor === null ? {} : { cursor }) });
  return (await ask("GET", `/api/v1/cases?${query}`, { signal })) as Page<Case>;
}

export async function readCase(caseId: string, signal: AbortSignal): Promise<Case> {
  return (await ask("GET", under(caseId), { signal })) as Case;
}

export async function listSteps(caseId: string, signal: AbortSignal): Promise<Page<Step>> {
  return (await ask("GET", `${under(caseId)}/steps`, { signal })) as Page<Step>;
}

/** The newest of a timeline; its cursor leads to older ones. */
export async function readTimeline(caseId: string, asked: TimelineAsk, signal: AbortSignal): Promise<Page<TimelineItem>> {
  const query = new URLSearchParams({ order: "newest", limit: String(asked.limit) });
  if (asked.kinds.length > 0) query.set("kinds", asked.kinds.join(","));
  if (asked.words !== "") query.set("q", asked.words);
  if (asked.cursor !== null) query.set("cursor", asked.cursor);
  return (await ask("GET", `${under(caseId)}/timeline?${query}`, { signal })) as Page<TimelineItem>;
}

/** idempotencyKey: the same for every try of one note, so that it is one event however often it is sent. */
export async function addNote(caseId: string, text: string, idempotencyKey: string): Promise<void> {
  await ask("POST", `${under(caseId)}/notes`, { body: { text }, headers: { "Idempotency-Key": idempotencyKey } });
}

/** text: what was said; the same as before: it was heard rightly. idempotencyKey: as for a note. */
export async function correctWords(caseId: string, eventId: string, text: string, idempotencyKey: string): Promise<void> {
  await ask("POST", `${under(caseId)}/corrections`, { body: { event_id: eventId, text }, headers: { "Idempotency-Key": idempotencyKey } });
}

const CORRECTIONS_MOST = 5_000;

/** Every correction of the case, also of words that the reader has not in hand. */
export async function listCorrections(caseId: string, signal: AbortSignal): Promise<readonly TimelineItem[]> {
  const found: TimelineItem[] = [];
  let cursor: string | null = null;
  do {
    const page: Page<TimelineItem> = await readTimeline(caseId, { kinds: ["WordsCorrected"], words: "", limit: 1000, cursor }, signal);
    found.push(...page.items);
    cursor = page.next_cursor;
  } while (cursor !== null && found.length < CORRECTIONS_MOST);
  return found;
}

export interface ExportJob {
  readonly export_id: string;
  readonly state: "waiting" | "running" | "done" | "failed";
  readonly bytes: number;
  readonly error: string;
  readonly defects: number | null;
}

export async function askExport(caseId: string, signal: AbortSignal): Promise<ExportJob> {
  return (await ask("POST", `${under(caseId)}/exports`, { signal })) as ExportJob;
}

export async function readExport(exportId: string, signal: AbortSignal): Promise<ExportJob> {
  return (await ask("GET", `/api/v1/exports/${encodeURIComponent(exportId)}`, { signal })) as ExportJob;
}

export function exportFile(exportId: string): string {
  return `/api/v1/exports/${encodeURIComponent(exportId)}/file`;
}

export function tailUrl(caseId: string): string {
  return `/api/v1/events?${new URLSearchParams({ case_id: caseId })}`;
}

export interface CaseItem {
  readonly item_id: string;
  readonly kind: string;
  readonly title: string;
  readonly file_type: string | null;
  readonly withdrawn_at: string | null;
}

export async function listItems(caseId: string): Promise<Page<CaseItem>> {
  return whole(`${under(caseId)}/items`);
}

export const itemFile = (caseId: string, itemId: string): string => `${under(caseId)}/items/${encodeURIComponent(itemId)}/file`;

export interface Sent {
  readonly state: "open" | "taking" | "taken" | "duplicate" | "refused";
  readonly reason: string;
}

export async function readUpload(uploadId: string, signal: AbortSignal): Promise<Sent> {
  return (await ask("GET", `/api/v1/uploads/${encodeURIComponent(uploadId)}`, { signal })) as Sent;
}
