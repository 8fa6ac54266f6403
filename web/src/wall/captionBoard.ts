// The lines of all streams. A reader of one stream's lines is told of that stream only: a message draws one bar anew.

import { shallowReactive } from "vue";
import type { Caption } from "../api/captions";
import { fresh, SHOWN_MS, taken, whole, type CaptionLines } from "./captions";

const STREAMS_MOST = 50; // with lines; past it the one not heard of for longest makes room

const lastHeardMs = (lines: CaptionLines): number => Math.max(...lines.map(({ heardMs }) => heardMs));

export class CaptionBoard {
  private readonly lines = shallowReactive(new Map<string, CaptionLines>());

  of(streamId: string): CaptionLines {
    return this.lines.get(streamId) ?? [];
  }

  /** How many streams have lines. */
  get count(): number {
    return this.lines.size;
  }

  take(caption: Caption, nowMs: number): void {
    this.put(caption.stream_id, taken(this.lines.get(caption.stream_id) ?? [], caption, nowMs));
    if (this.lines.size > STREAMS_MOST) this.lines.delete(this.quietest());
  }

  /** Lines that are over go. */
  sweep(nowMs: number): void {
    for (const [streamId, lines] of [...this.lines]) this.put(streamId, fresh(lines, nowMs));
  }

  /** The connection broke: hypotheses go, what was said whole stays for its time. */
  broken(): void {
    for (const [streamId, lines] of [...this.lines]) this.put(streamId, whole(lines));
  }

  clear(): void {
    this.lines.clear();
  }

  /** When the next line is over; null without lines. */
  nextEndMs(): number | null {
    const heardMs = [...this.lines.values()].flatMap((lines) => lines.map((line) => line.heardMs));
    return heardMs.length === 0 ? null : Math.min(...heardMs) + SHOWN_MS;
  }

  private put(streamId: string, lines: CaptionLines): void {
    if (lines.length === 0) this.lines.delete(streamId);
    else this.lines.set(streamId, lines);
  }

  private quietest(): string {
    const quietestFirst = [...this.lines].sort(([, a], [, b]) => lastHeardMs(a) - lastHeardMs(b));
    return quietestFirst[0]?.[0] ?? "";
  }
}
