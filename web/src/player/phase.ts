// What a player says of itself, on whichever path it plays.

/** What the player does now. The first three are the steps a wait can hang at. */
export type Phase =
  | { readonly name: "ticket" | "connecting" | "first_picture" | "playing" | "ended" | "stopped" }
  | { readonly name: "retrying"; readonly error: unknown; readonly atMs: number }
  | { readonly name: "unplayable"; readonly codecs: readonly string[] };

export interface Gap {
  readonly lostS: number;
  readonly reason: string;
}

/** Where a player tells what it does. */
export interface PlayerEnds {
  readonly onPhase: (phase: Phase) => void;
  readonly onGap: (gap: Gap) => void;
}

/** One way of bringing a live stream into a tile. It tries again by itself; LivePlayer decides which way is taken. */
export interface PathPlayer {
  readonly stalls: number;
  readonly jumps: number;
  readonly targetMs: number;
  readonly bufferMs: number;
  start(): void;
  /** Lets go of the stream; the last picture stays. */
  stop(): void;
  close(): void;
}
