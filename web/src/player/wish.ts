// How much of a stream a tile asks for. Plain choice; nothing here knows the screen or the network.

export type Tracks = "all" | "key";

/** What the person chose for the wall; auto: by the size and number of the tiles. */
export const TRACKS_CHOICES = ["auto", "all", "key"] as const;
export type TracksChoice = (typeof TRACKS_CHOICES)[number];

export interface Wish {
  /** key: only the key frames, and no sound. */
  readonly tracks: Tracks;
  /** LL-HLS in real time: the server keeps each question for the playlist until there is something new. */
  readonly isLowLatency: boolean;
}

export interface TileInSight {
  readonly tiles: number; // with a stream, in sight
  readonly widthPx: number; // in CSS pixels
  readonly hasVideo: boolean;
  /** It has the focus, stands alone, or its sound is on. */
  readonly isInHand: boolean;
}

const MANY_TILES = 9;
const NARROW_PX = 480;
const LOW_LATENCY_MOST = 4; // of the six HTTP/1.1 connections a browser has for one server; the page itself needs some

export function tracksOf(choice: TracksChoice, tile: TileInSight): Tracks {
  if (!tile.hasVideo || tile.isInHand || choice === "all") return "all";
  return choice === "key" || tile.tiles >= MANY_TILES || tile.widthPx < NARROW_PX ? "key" : "all";
}

/** Whether this many tiles on LL-HLS may each keep a connection waiting. */
export function isLowLatencyFor(hlsTiles: number): boolean {
  return hlsTiles <= LOW_LATENCY_MOST;
}
