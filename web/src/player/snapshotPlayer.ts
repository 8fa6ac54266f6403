// A still a second, for a browser or a network in which nothing else plays.

import { Problem, problemOf, unreachable } from "../api/problem";
import type { PathPlayer, PlayerEnds } from "./phase";

const EVERY_MS = 1_000;
const ANSWER_MOST_MS = 8_000;

export class SnapshotPlayer implements PathPlayer {
  readonly stalls = 0;
  readonly jumps = 0;
  readonly targetMs = EVERY_MS;
  readonly bufferMs = 0;
  private timer = 0;
  private asking: AbortController | null = null;
  private url = "";

  /** `onStill`: another still is on the screen, taken at `capturedMs` in the server's time. */
  constructor(
    private readonly still: HTMLImageElement,
    private readonly source: string,
    private readonly ends: PlayerEnds,
    private readonly onStill: (capturedMs: number) => void,
  ) {}

  start(): void {
    this.stop();
    this.ends.onPhase({ name: "first_picture" });
    void this.round();
  }

  stop(): void {
    window.clearTimeout(this.timer);
    this.asking?.abort();
    this.asking = null;
  }

  close(): void {
    this.stop();
    this.still.removeAttribute("src");
    URL.revokeObjectURL(this.url);
  }

  private async round(): Promise<void> {
    const asking = new AbortController();
    this.asking = asking;
    try {
      await this.show(AbortSignal.any([asking.signal, AbortSignal.timeout(ANSWER_MOST_MS)]));
      if (!asking.signal.aborted) this.ends.onPhase({ name: "playing" });
    } catch (error) {
      if (!asking.signal.aborted) this.ends.onPhase({ name: "retrying", error, atMs: Date.now() + EVERY_MS });
    }
    if (!asking.signal.aborted) this.timer = window.setTimeout(() => void this.round(), EVERY_MS);
  }

  private async show(signal: AbortSignal): Promise<void> {
    const { blob, capturedMs } = await this.fetched(signal);
    const url = URL.createObjectURL(blob);
    const before = this.url;
    this.url = url;
    this.still.src = url;
    await this.still.decode().finally(() => URL.revokeObjectURL(before));
    if (!signal.aborted) this.onStill(capturedMs);
  }

  private async fetched(signal: AbortSignal): Promise<{ blob: Blob; capturedMs: number }> {
    try {
      const response = await fetch(this.source, { signal, cache: "no-store" });
      if (!response.ok) throw await problemOf(response);
      return { blob: await response.blob(), capturedMs: Date.parse(response.headers.get("X-Captured-At") ?? "") };
    } catch (error) {
      throw error instanceof Problem ? error : unreachable();
    }
  }
}
