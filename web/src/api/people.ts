// The routes of accounts, devices, approvals, recordings and the audit. Anything else the server says is ignored.

import type { Page, TimelineItem } from "./cases";
import { ask } from "./server";
import { whole } from "./whole";

export interface Account {
  readonly account_id: string;
  readonly login: string;
  readonly name: string;
  readonly role: string;
  readonly unit: string;
  readonly has_password: boolean;
  readonly has_totp: boolean;
  readonly disabled_at: string | null;
  readonly version: number;
}

export interface Unit {
  readonly name: string;
  readonly parent: string | null;
}

export interface Device {
  readonly device_id: string;
  readonly name: string;
  readonly officer: string;
  readonly unit: string;
  readonly revoked_at: string | null;
  readonly source: string | null;
}

export interface DeviceMade {
  readonly device_id: string;
  readonly name: string;
  readonly stream_key: string;
  readonly url: string;
  readonly qr: string;
}

export interface Held {
  readonly token_id: string;
  readonly kind: string;
  readonly name: string;
  readonly scopes: readonly string[];
  readonly created_at: string;
  readonly expires_at: string | null;
  readonly seen_at: string | null;
  readonly agent: string;
  readonly is_this: boolean;
}

export interface Approval {
  readonly approval_id: string;
  readonly what: "play" | "copy";
  readonly case_id: string | null;
  readonly recording_id: string | null;
  readonly start_s: number;
  readonly end_s: number;
  readonly purpose: string;
  readonly asked_name: string;
  readonly asked_at: string;
  readonly needed: number;
  readonly given: number;
  readonly state: "asked" | "approved" | "refused" | "withdrawn";
  readonly expires_at: string | null;
  readonly is_mine: boolean;
  readonly may_decide: boolean;
}

export interface Recording {
  readonly recording_id: string;
  readonly device_id: string;
  readonly device_name: string;
  readonly started_at: string;
  readonly ended_at: string | null;
}

export interface Span {
  readonly start_s: number;
  readonly end_s: number;
}

export interface RecordingMap {
  readonly recording_id: string;
  readonly device_name: string;
  readonly started_at: string;
  readonly length_s: number;
  readonly is_ended: boolean;
  readonly segments: readonly Span[];
  readonly gaps: readonly (Span & { readonly cause: string })[];
  readonly allowed: readonly Span[];
}

export interface Officer {
  readonly officer_id: string;
  readonly name: string;
  readonly certificate_number: string;
}

export interface TotpSecret {
  readonly secret: string;
  readonly uri: string;
  readonly qr: string;
}

const id = encodeURIComponent;

export async function setPassword(old: string, fresh: string): Promise<void> {
  await ask("PUT", "/api/v1/session/password", { body: { old, new: fresh } });
}

export async function newTotp(): Promise<TotpSecret> {
  return (await ask("POST", "/api/v1/session/totp")) as TotpSecret;
}

export async function setTotp(secret: string, code: string, password: string): Promise<readonly string[]> {
  return ((await ask("PUT", "/api/v1/session/totp", { body: { secret, code, password } })) as { codes: string[] }).codes;
}

export async function listHeld(): Promise<Page<Held>> {
  return (await ask("GET", "/api/v1/session/held")) as Page<Held>;
}

export async function endHeld(tokenId: string): Promise<void> {
  await ask("DELETE", `/api/v1/session/held/${id(tokenId)}`);
}

export async function makeToken(name: string, scopes: readonly string[], days: number): Promise<string> {
  return ((await ask("POST", "/api/v1/session/tokens", { body: { name, scopes, days } })) as { token: string }).token;
}


export async function listUsers(): Promise<Page<Account>> {
  return whole<Account>("/api/v1/users");
}

export async function addUser(login: string, name: string, role: string): Promise<string> {
  return ((await ask("POST", "/api/v1/users", { body: { login, name, role } })) as { link: string }).link;
}

export async function changeUser(user: Account, role: string, unit: string): Promise<void> {
  const headers = { "If-Match": `"${user.version}"` };
  await ask("PATCH", `/api/v1/users/${id(user.account_id)}`, { body: { role, unit }, headers });
}

export async function actOnUser(accountId: string, act: "disable" | "enable"): Promise<void> {
  await ask("POST", `/api/v1/users/${id(accountId)}/${act}`);
}

export async function linkForUser(accountId: string): Promise<string> {
  return ((await ask("POST", `/api/v1/users/${id(accountId)}/link`)) as { link: string }).link;
}

export async function listUnits(): Promise<Page<Unit>> {
  return whole<Unit>("/api/v1/units");
}

/** A new unit, or one that hangs elsewhere from now on. */
export async function placeUnit(name: string, parent: string | null): Promise<void> {
  await ask("PUT", "/api/v1/units", { body: { name, parent } });
}

export async function listOfficers(): Promise<readonly Officer[]> {
  return (await whole<Officer>("/api/v1/officers")).items;
}

export async function listDevices(): Promise<Page<Device>> {
  return whole<Device>("/api/v1/devices");
}

export async function addDevice(name: string, officer: string, unit: string): Promise<DeviceMade> {
  return (await ask("POST", "/api/v1/devices", { body: { name, officer, unit } })) as DeviceMade;
}

export async function replaceKey(deviceId: string): Promise<DeviceMade> {
  return (await ask("POST", `/api/v1/devices/${id(deviceId)}/key`)) as DeviceMade;
}

export async function revokeDevice(deviceId: string): Promise<void> {
  await ask("DELETE", `/api/v1/devices/${id(deviceId)}`);
}

export async function listApprovals(cursor: string | null): Promise<Page<Approval>> {
  const query = new URLSearchParams({ limit: "100", ...(cursor === null ? {} : { cursor }) });
  return (await ask("GET", `/api/v1/approvals?${query}`)) as Page<Approval>;
}

export async function askApproval(wanted: {
  what: "play" | "copy"; purpose: string; recording_id?: string; case_id?: string; start_s?: number; end_s?: number;
}): Promise<Approval> {
  return (await ask("POST", "/api/v1/approvals", { body: wanted })) as Approval;
}

export async function decide(approvalId: string, verdict: "approved" | "refused", reason: string, days: number): Promise<void> {
  await ask("POST", `/api/v1/approvals/${id(approvalId)}/decision`, { body: { verdict, reason, days } });
}

export async function withdraw(approvalId: string): Promise<void> {
  await ask("DELETE", `/api/v1/approvals/${id(approvalId)}`);
}

export async function listRecordings(cursor: string | null): Promise<Page<Recording>> {
  const query = new URLSearchParams({ limit: "100", ...(cursor === null ? {} : { cursor }) });
  return (await ask("GET", `/api/v1/recordings?${query}`)) as Page<Recording>;
}

export interface CaseRecording {
  readonly recording_id: string;
  readonly how: string; // "hand", "task", "upload"
  readonly made_at: string;
  readonly undone_at: string | null;
}

export async function listCaseRecordings(caseId: string): Promise<Page<CaseRecording>> {
  return whole(`/api/v1/cases/${id(caseId)}/recordings`);
}

export async function readMap(recordingId: string): Promise<RecordingMap> {
  return (await ask("GET", `/api/v1/recordings/${id(recordingId)}/map`)) as RecordingMap;
}

export function mediaUrl(recordingId: string, span: Span): string {
  return `/api/v1/recordings/${id(recordingId)}/media?${new URLSearchParams({ start: String(span.start_s), end: String(span.end_s) })}`;
}

export const stillUrl = (recordingId: string, at_s: number): string => `/api/v1/recordings/${id(recordingId)}/still.jpg?at=${at_s.toFixed(3)}`;

/** zero_s: the second of the recording that is the file's time 0; reading it is logged, as playing is. */
export function subtitlesUrl(recordingId: string, form: "vtt" | "srt", zero_s = 0): string {
  return `/api/v1/recordings/${id(recordingId)}/subtitles.${form}?zero=${zero_s.toFixed(3)}`;
}

export async function readAudit(cursor: string | null): Promise<Page<TimelineItem>> {
  const query = new URLSearchParams({ limit: "200", ...(cursor === null ? {} : { cursor }) });
  return (await ask("GET", `/api/v1/audit?${query}`)) as Page<TimelineItem>;
}
