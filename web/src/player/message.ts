// The text messages of the live feed, checked at the border. Binary ones are media.

export type Message =
  | { readonly type: "tracks"; readonly mime: string }
  | { readonly type: "gap"; readonly lostS: number; readonly reason: string }
  | { readonly type: "time"; readonly ptsS: number; readonly capturedMs: number }
  | { readonly type: "ended" };

/** The message, or null for a kind this page does not know yet (newer servers may say more). */
export function parseMessage(text: string): Message | null {
  let raw: Record<string, unknown> | null;
  try {
    raw = JSON.parse(text) as Record<string, unknown> | null;
  } catch {
    return null;
  }
  switch (raw?.["type"]) {
    case "tracks":
      return typeof raw?.["mime"] === "string" ? { type: "tracks", mime: raw?.["mime"] } : null;
    case "gap":
      return { type: "gap", lostS: Number(raw?.["lost_s"] ?? 0), reason: String(raw?.["reason"] ?? "") };
    case "time": {
      const capturedMs = Date.parse(String(raw?.["captured_at"]));
      const ptsS = Number(raw?.["pts_s"]);
      return Number.isFinite(capturedMs) && Number.isFinite(ptsS) ? { type: "time", ptsS, capturedMs } : null;
    }
    case "ended":
      return { type: "ended" };
    default:
      return null;
  }
}

/** `video/mp4; codecs="avc1.64001f, mp4a.40.2"` to its codecs. */
export function codecsOf(mime: string): string[] {
  const list = /codecs="?([^"]*)"?/.exec(mime)?.[1] ?? "";
  return list.split(",").map((codec) => codec.trim()).filter((codec) => codec !== "");
}

const NAMES: readonly (readonly [RegExp, string])[] = [
  [/^avc/, "H.264"],
  [/^(hev|hvc)/, "H.265 (HEVC)"],
  [/^av01/, "AV1"],
  [/^vp09/, "VP9"],
  [/^mp4a/, "AAC"],
  [/^opus/i, "Opus"],
];

export function codecName(codec: string): string {
  return NAMES.find(([pattern]) => pattern.test(codec))?.[1] ?? codec;
}

/** What a change of tracks asks of the source buffer. */
export function changeOfTracks(before: string, after: string): "none" | "change_type" | "rebuild" {
  if (before === after) return "none";
  return codecsOf(before).length === codecsOf(after).length ? "change_type" : "rebuild";
}
