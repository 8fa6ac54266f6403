// Which way the pictures come: the WebSocket, else LL-HLS, else stills. Plain choice on what the players say.

import { Problem } from "../api/problem";
import type { Phase } from "./phase";

export type Path = "ws" | "hls" | "snapshot";

const FAILURES_MOST = 2; // in a row and without a picture: one alone may be a server that restarts
const BELOW: Record<Path, Path> = { ws: "hls", hls: "snapshot", snapshot: "snapshot" };

export class PathChoice {
  path: Path;
  private failures = 0;
  private codecs: readonly string[] = [];

  constructor(private readonly hasMediaSource: boolean) {
    this.path = hasMediaSource ? "ws" : "snapshot";
  }

  /** The path to take once the player of the present one has said `phase`. */
  told(phase: Phase): Path {
    if (phase.name === "playing") this.failures = 0;
    else if (phase.name === "unplayable") this.unplayable(phase.codecs);
    else if (phase.name === "retrying" && isOfPath(phase.error) && ++this.failures >= FAILURES_MOST) this.take(BELOW[this.path]);
    return this.path;
  }

  take(path: Path): void {
    this.path = path;
    this.failures = 0;
  }

  /** What this browser cannot play, when that is why stills are shown. */
  get unplayableCodecs(): readonly string[] {
    return this.path === "snapshot" ? this.codecs : [];
  }

  /** Whether the WebSocket may be better than what is taken: another path brings the same codecs. */
  get isWayBackOpen(): boolean {
    return this.hasMediaSource && this.path !== "ws" && this.codecs.length === 0;
  }

  private unplayable(codecs: readonly string[]): void {
    this.codecs = codecs;
    this.take("snapshot");
  }
}

/** A refused ticket or a silent server is nothing another path would mend. */
function isOfPath(error: unknown): boolean {
  return !(error instanceof Problem);
}
