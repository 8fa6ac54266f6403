// What a tile says over its picture, and whether the picture may still be taken for now. Plain choice; no words yet.

import type { StreamState } from "../api/server";
import type { Path } from "../player/path";
import type { Phase } from "../player/phase";
import type { Tracks } from "../player/wish";
import type { TextKey } from "../texts/language";

const STILL_PATIENCE_MS = 4_000; // stills come once a second, and a key frame may take as long again
const KEY_PATIENCE_MS = 6_000; // most cameras send a key frame every 1 to 4 s
const PATIENCE_MS = 2_000; // shorter waits say nothing: words that flash only unsettle

export interface Situation {
  readonly state: StreamState;
  readonly stateForS: number;
  readonly stateSince: string; // in the reader's words
  readonly path: Path;
  readonly tracks: Tracks;
  readonly phase: Phase;
  readonly phaseForMs: number;
  readonly pictureForMs: number; // since the last new picture
  readonly nowMs: number;
}

export interface Notice {
  readonly key: TextKey;
  readonly values: Readonly<Record<string, string | number>>;
  readonly remedyKey?: TextKey;
  readonly error?: unknown;
  readonly isOld: boolean; // the picture shown is not of now
}

export function noticeOf(at: Situation): Notice | null {
  if (at.state === "reconnecting") return { key: "tile.waited", values: { n: Math.round(at.stateForS) }, isOld: true };
  if (at.state !== "live") return { key: "tile.since", values: { time: at.stateSince }, isOld: true };
  const { phase } = at;
  switch (phase.name) {
    case "unplayable":
      return { key: "play.unplayable", values: { codecs: phase.codecs.join(", ") }, remedyKey: "play.unplayableRemedy", isOld: true };
    case "retrying": {
      const n = Math.max(0, Math.ceil((phase.atMs - at.nowMs) / 1000));
      return { key: "play.retrying", values: { n }, error: phase.error, isOld: true };
    }
    case "playing":
      if (at.pictureForMs < patienceMs(at)) return null;
      return { key: "tile.stalled", values: { n: Math.round(at.pictureForMs / 1000) }, isOld: true };
    case "ticket":
    case "connecting":
    case "first_picture":
      return at.phaseForMs < PATIENCE_MS ? null : { key: `step.${phase.name}`, values: {}, isOld: true };
    case "ended":
    case "stopped":
      return null;
  }
}

function patienceMs({ path, tracks }: Situation): number {
  if (path === "snapshot") return STILL_PATIENCE_MS;
  return path === "ws" && tracks === "key" ? KEY_PATIENCE_MS : PATIENCE_MS;
}
