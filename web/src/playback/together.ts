// Several recordings of a case on one clock: the server's, by which each of them was begun.

import type { RecordingMap, Span } from "../api/people";

export const EVEN_S = 0.08; // nearer than this nobody sees a difference
const JUMP_S = 0.8;
const NUDGE = 0.06; // of the pace, too little to be heard

/** A recording on the axis of the clock. startMs: its second 0, as UTC. */
export interface Lane {
  readonly recordingId: string;
  readonly name: string;
  readonly startMs: number;
  readonly length_s: number;
  readonly gaps: readonly (Span & { readonly cause: string })[];
  readonly allowed: readonly Span[];
}

export function laneOf(map: RecordingMap): Lane {
  const { recording_id: recordingId, device_name: name, length_s, gaps, allowed } = map;
  return { recordingId, name, startMs: Date.parse(map.started_at), length_s, gaps, allowed };
}

/** First and last moment of all lanes. */
export function axisOf(lanes: readonly Lane[]): { readonly fromMs: number; readonly toMs: number } {
  const fromMs = Math.min(...lanes.map((lane) => lane.startMs));
  return { fromMs, toMs: Math.max(fromMs + 1_000, ...lanes.map((lane) => lane.startMs + lane.length_s * 1_000)) };
}

/** The second of the lane's recording at this moment of the clock. */
export const secondOf = (lane: Lane, atMs: number): number => (atMs - lane.startMs) / 1_000;

/** What may be played of the lane at this moment. */
export function spanAt(lane: Lane, atMs: number): Span | null {
  const at_s = secondOf(lane, atMs);
  return lane.allowed.find((span) => span.start_s <= at_s && at_s < span.end_s) ?? null;
}

/** Why the lane shows nothing at this moment: a hole, nothing recorded, or no approval. */
export function whyDark(lane: Lane, atMs: number): "gap" | "outside" | "notAllowed" | "" {
  const at_s = secondOf(lane, atMs);
  if (at_s < 0 || at_s >= lane.length_s) return "outside";
  if (lane.gaps.some((gap) => gap.start_s <= at_s && at_s < gap.end_s)) return "gap";
  return spanAt(lane, atMs) === null ? "notAllowed" : "";
}

/** What brings a picture that is at `is_s` to where the clock is: a jump, or another pace. */
export function correctionOf(is_s: number, wanted_s: number): { readonly jump: boolean; readonly pace: number } {
  const behind_s = wanted_s - is_s;
  if (Math.abs(behind_s) > JUMP_S) return { jump: true, pace: 1 };
  if (Math.abs(behind_s) <= EVEN_S) return { jump: false, pace: 1 };
  return { jump: false, pace: behind_s > 0 ? 1 + NUDGE : 1 - NUDGE };
}
