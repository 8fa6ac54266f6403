// The routes this page asks. Paths and shapes: docs/api; anything else the server says is ignored.

import type { Tracks } from "../player/wish";
import { Problem, problemOf, unreachable } from "./problem";

export type Credential =
  | { readonly code: string; readonly second: string }
  | { readonly token: string }
  | { readonly login: string; readonly password: string; readonly second: string };

export interface Session {
  readonly name: string;
  readonly role: string;
  readonly expires_at: string | null;
  readonly account_id: string;
  readonly login: string;
  readonly unit: string;
  readonly needs: "" | "password" | "totp";
  readonly has_password: boolean;
  readonly has_totp: boolean;
  readonly asks_old_password: boolean;
  readonly permissions: Readonly<Record<string, string>>; // how far each reaches
}

export type StreamState = "live" | "reconnecting" | "lost" | "ended";

export interface Stream {
  readonly stream_id: string;
  readonly device_id: string;
  readonly device_name: string;
  readonly officer: string | null;
  readonly unit: string | null;
  readonly state: StreamState;
  readonly started_at: string;
  readonly video: { readonly codec: string; readonly width: number; readonly height: number; readonly fps: number | null } | null;
  readonly audio: { readonly codec: string; readonly rate_hz: number; readonly channels: number } | null;
  readonly viewers: number;
  readonly bitrate_bps: number;
  readonly last_keyframe_at: string | null;
}

export interface StreamList {
  readonly items: readonly Stream[];
  readonly now: string;
}

export interface AskOptions {
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** One request of the API: the JSON of its answer. Throws: Problem: the server refused or did not answer. */
export async function ask(method: string, path: string, options: AskOptions = {}): Promise<unknown> {
  const init: RequestInit = { method, headers: { ...options.headers, Accept: "application/json" }, cache: "no-store" };
  if (options.signal !== undefined) init.signal = options.signal;
  if (options.body instanceof FormData) init.body = options.body;
  else if (options.body !== undefined) {
    init.body = JSON.stringify(options.body);
    init.headers = { ...init.headers, "Content-Type": "application/json" };
  }
  const response = await fetch(path, init).catch((error: unknown) => {
    throw options.signal?.aborted === true ? error : unreachable();
  });
  if (!response.ok) throw await problemOf(response);
  return response.status === 204 ? null : ((await response.json()) as unknown);
}

/** The session of this browser; null without one. */
export async function readSession(): Promise<Session | null> {
  try {
    return (await ask("GET", "/api/v1/session")) as Session;
  } catch (error) {
    if (error instanceof Problem && error.status === 401) return null;
    throw error;
  }
}

export async function openSession(credential: Credential): Promise<Session> {
  return (await ask("POST", "/api/v1/session", { body: credential })) as Session;
}

export async function closeSession(): Promise<void> {
  await ask("DELETE", "/api/v1/session");
}

export async function listStreams(signal: AbortSignal): Promise<StreamList> {
  return (await ask("GET", "/api/v1/streams", { signal })) as StreamList;
}

/** A one-time address of the stream's live WebSocket. */
export async function openSocketUrl(streamId: string, tracks: Tracks): Promise<string> {
  const url = await ticketed(streamId, "ws");
  url.searchParams.set("tracks", tracks);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}

/** An address of the stream's LL-HLS playlist, good for one view and as long as that is asked for. */
export async function openPlaylistUrl(streamId: string): Promise<string> {
  return (await ticketed(streamId, "index.m3u8")).href;
}

async function ticketed(streamId: string, door: string): Promise<URL> {
  const id = encodeURIComponent(streamId);
  const { ticket } = (await ask("POST", `/api/v1/streams/${id}/ticket`)) as { ticket: string };
  const url = new URL(`/live/${id}/${door}`, location.href);
  url.searchParams.set("ticket", ticket);
  return url;
}

export function snapshotUrl(streamId: string): string {
  return `/live/${encodeURIComponent(streamId)}/snapshot.jpg`;
}
