// The routes of face matching: its switch, galleries, suggestions. Shapes: docs/api; anything else the server says is ignored.

import type { Page } from "./cases";
import type { Officer } from "./people";
import { ask } from "./server";
import { whole } from "./whole";

export const GALLERY_KINDS = ["roster", "case"] as const;
export type GalleryKind = (typeof GALLERY_KINDS)[number];
export const SUGGESTION_STATES = ["open", "split", "confirmed", "rejected", "withdrawn"] as const;
export type SuggestionState = (typeof SUGGESTION_STATES)[number];
/** waiting: for a person, open and split. "": all. */
export type SuggestionFilter = SuggestionState | "waiting" | "";
export const OPINIONS = ["same", "different", "cannot_tell"] as const;
export type OpinionVerdict = (typeof OPINIONS)[number];

/** One application for the switch, and what became of it. */
export interface FaceSwitch {
  readonly switch_id: string;
  readonly state: "asked" | "on" | "off";
  readonly legal_basis: string;
  readonly approver: string; // who answers for it, by name and office
  readonly assessment_id: string;
  readonly reason: string;
  readonly expires_at: string;
  readonly asked_by_name: string;
  readonly asked_at: string;
  readonly approved_by_name: string;
  readonly approved_at: string | null;
  readonly ended_at: string | null;
  readonly end_reason: string;
  readonly is_mine: boolean;
  readonly may_approve: boolean; // by who reads
}

export interface FaceCondition {
  readonly condition: string;
  readonly is_met: boolean;
  readonly zh: string;
  readonly en: string;
}

export interface FaceModel {
  readonly task: string;
  readonly label: string; // name@version; empty: none
  readonly is_here: boolean;
  readonly why: string; // of what is missing
  readonly license: string;
  readonly note: string;
}

/** How often people agreed with one model at one bound; precision: null where too few were decided. */
export interface FaceRecord {
  readonly model: string;
  readonly threshold: number;
  readonly suggested: number;
  readonly confirmed: number;
  readonly rejected: number;
  readonly precision: number | null;
  readonly precision_low: number | null;
  readonly precision_high: number | null;
}

/** What is told in both languages ends in _zh and _en. may_*: of who reads. */
export interface FaceState {
  readonly is_on: boolean;
  readonly why_zh: string;
  readonly why_en: string;
  readonly conditions: readonly FaceCondition[];
  readonly switch: FaceSwitch | null;
  readonly count: number; // persons whose templates are kept
  readonly alarm: number;
  readonly limit: number;
  readonly is_alarm: boolean;
  readonly stale: number; // templates of another model than that of now
  readonly models: readonly FaceModel[];
  readonly notice_zh: string;
  readonly notice_en: string;
  readonly limits_zh: string;
  readonly limits_en: string;
  readonly record: readonly FaceRecord[];
  readonly may_ask: boolean;
  readonly may_approve: boolean;
  readonly may_stop: boolean;
}

export interface SwitchAsk {
  readonly legal_basis: string;
  readonly approver: string;
  readonly assessment_id: string;
  readonly expires_at: string;
  readonly reason: string;
}

export interface Gallery {
  readonly gallery_id: string;
  readonly kind: GalleryKind;
  readonly case_id: string | null;
  readonly case_number: string;
  readonly legal_basis: string;
  readonly notice: string;
  readonly state: "open" | "closed";
  readonly expires_at: string;
  readonly opened_at: string;
  readonly opened_by_name: string;
  readonly closed_at: string | null;
  readonly end_reason: string;
  readonly persons: number;
  readonly proposed: number; // that wait for a second person
  readonly stale: number; // templates of another model than that of now
  readonly may_enrol: boolean;
  readonly may_close: boolean;
}

export interface GalleryAsk {
  readonly kind: GalleryKind;
  readonly case_id: string | null;
  readonly legal_basis: string;
  readonly notice: string;
  readonly expires_at: string;
}

export interface Person {
  readonly person_id: string;
  readonly gallery_id: string;
  readonly name: string;
  readonly party: string;
  readonly officer_id: string | null;
  readonly basis: string;
  readonly state: "proposed" | "enrolled" | "refused" | "deleted" | "gone";
  readonly proposed_at: string;
  readonly proposed_by_name: string;
  readonly decided_at: string | null;
  readonly decided_by_name: string;
  readonly templates: number;
  readonly proposed_templates: number;
  readonly is_stale: boolean; // enrolled by another model than that of now
  readonly may_confirm: boolean; // never by who proposed
}

/** Who is to be enrolled: an officer of the roster, or a party of the case; and what allows it. */
export interface Enrolled {
  readonly name: string;
  readonly party: string;
  readonly officer_id: string;
  readonly basis: string;
}

/** Seconds of a recording. */
export interface Moment {
  readonly recording_id: string;
  readonly start_s: number;
  readonly end_s: number;
}

/** A template that could not be made anew with the model of now; it stays, and is not searched. */
export interface NotRenewed {
  readonly template_id: string;
  readonly person_id: string;
  readonly name: string;
  readonly reason: string;
  readonly detail: string;
}

export interface Renewed {
  readonly renewed: number;
  readonly refused: readonly NotRenewed[];
  readonly next_after: string; // where the next call begins; empty: all were tried
  readonly left: number;
}

export interface Opinion {
  readonly by_name: string;
  readonly is_mine: boolean;
  readonly verdict: OpinionVerdict;
  readonly reason: string;
  readonly at: string;
}

export interface Suggestion {
  readonly suggestion_id: string;
  readonly state: SuggestionState;
  readonly case_id: string;
  readonly case_number: string;
  readonly gallery_id: string;
  readonly gallery_kind: GalleryKind;
  readonly person_id: string;
  readonly name: string;
  readonly officer_id: string | null;
  readonly stream_id: string;
  readonly at: string;
  readonly media: Moment;
  readonly similarity: number; // cosine, -1..1; no probability
  readonly second: number; // of the next best person
  readonly threshold: number;
  readonly one_in: number; // of how many strangers one would look as alike
  readonly basis: string; // of one_in: measured, fitted or stated
  readonly model: string; // name@version
  readonly detector: string;
  readonly looks: number;
  readonly given: number; // opinions there are
  readonly opinions: readonly Opinion[]; // one's own; those of others only once it is decided
  readonly has_shot: boolean; // whether its pictures are still kept
  readonly may_judge: boolean; // by who reads
  readonly decided_at: string | null;
}

export const PHOTOS_MOST = 5; // of one enrolment
export const MOMENT_MOST_S = 30;

const PAGE = 50;
const LISTED_MOST = 200;
const FACES = "/api/v1/faces";
const id = encodeURIComponent;

export async function readFaces(): Promise<FaceState> {
  return (await ask("GET", FACES)) as FaceState;
}

export async function askSwitch(asked: SwitchAsk): Promise<void> {
  await ask("POST", `${FACES}/switch`, { body: asked });
}

export async function approveSwitch(switchId: string): Promise<void> {
  await ask("POST", `${FACES}/switch/${id(switchId)}/approve`);
}

export async function switchOff(reason: string): Promise<void> {
  await ask("DELETE", `${FACES}/switch`, { body: { reason } });
}

export async function listGalleries(): Promise<readonly Gallery[]> {
  return (await whole<Gallery>(`${FACES}/galleries`, LISTED_MOST)).items;
}

export async function openGallery(asked: GalleryAsk): Promise<void> {
  await ask("POST", `${FACES}/galleries`, { body: asked });
}

export async function closeGallery(galleryId: string, reason: string): Promise<void> {
  await ask("DELETE", `${FACES}/galleries/${id(galleryId)}`, { body: { reason } });
}

/** Some templates of an earlier model, behind `after`, made anew from the pictures that were kept. */
export async function renewTemplates(galleryId: string, after: string): Promise<Renewed> {
  return (await ask("POST", `${FACES}/galleries/${id(galleryId)}/renew`, { body: { after } })) as Renewed;
}

export async function listPersons(galleryId: string): Promise<readonly Person[]> {
  return (await whole<Person>(`${FACES}/galleries/${id(galleryId)}/persons`, LISTED_MOST)).items;
}

/** Whom the roster may take; for who keeps it, who may read no case. */
export async function listRosterOfficers(): Promise<readonly Officer[]> {
  return (await whole<Officer>(`${FACES}/officers`)).items;
}

/** Photos of one person, or one film. */
export async function enrolFiles(galleryId: string, who: Enrolled, field: "photos" | "video", files: readonly File[]): Promise<void> {
  const form = new FormData();
  for (const [name, value] of Object.entries(who)) if (value !== "") form.set(name, value);
  for (const file of files) form.append(field, file);
  await ask("POST", `${FACES}/galleries/${id(galleryId)}/persons`, { body: form });
}

export async function enrolMoment(galleryId: string, who: Enrolled, moment: Moment): Promise<void> {
  await ask("POST", `${FACES}/galleries/${id(galleryId)}/persons`, { body: { ...who, ...moment } });
}

export async function confirmPerson(personId: string): Promise<void> {
  await ask("POST", `${FACES}/persons/${id(personId)}/confirm`);
}

export async function refusePerson(personId: string, reason: string): Promise<void> {
  await ask("POST", `${FACES}/persons/${id(personId)}/refuse`, { body: { reason } });
}

export async function deletePerson(personId: string, reason: string): Promise<void> {
  await ask("DELETE", `${FACES}/persons/${id(personId)}`, { body: { reason } });
}

/** The newest first. `caseId` "": of all cases. */
export async function listSuggestions(state: SuggestionFilter, caseId: string, cursor: string | null, signal: AbortSignal): Promise<Page<Suggestion>> {
  const query = new URLSearchParams({ limit: String(PAGE) });
  if (state !== "") query.set("state", state);
  if (caseId !== "") query.set("case_id", caseId);
  if (cursor !== null) query.set("cursor", cursor);
  return (await ask("GET", `${FACES}/suggestions?${query}`, { signal })) as Page<Suggestion>;
}

export async function giveOpinion(suggestionId: string, verdict: OpinionVerdict, reason: string): Promise<Suggestion> {
  return (await ask("POST", `${FACES}/suggestions/${id(suggestionId)}/opinion`, { body: { verdict, reason } })) as Suggestion;
}

export const shotUrl = (suggestionId: string): string => `${FACES}/suggestions/${id(suggestionId)}/shot.jpg`;
/** Of a gallery, as it was cut out: what waits, else what was enrolled. Another address where that changed: a page shows one address anew once. */
export const pictureUrl = ({ person_id, templates, proposed_templates }: Person): string => `${FACES}/persons/${id(person_id)}/picture.jpg?of=${templates}-${proposed_templates}`;

/** The best look of a track, and the gallery's picture beside it. */
export const personUrl = (suggestionId: string): string => `${FACES}/suggestions/${id(suggestionId)}/person.jpg`;
