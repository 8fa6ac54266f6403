import { expect, test } from "vitest";
import { Problem } from "../api/problem";
import { PathChoice } from "./path";
import type { Phase } from "./phase";

const closed: Phase = { name: "retrying", error: new Error("connection_closed"), atMs: 0 };
const playing: Phase = { name: "playing" };

test("a socket that twice in a row brings no picture gives way to LL-HLS, and that to stills", () => {
  const choice = new PathChoice(true);
  expect([closed, closed, closed, closed, closed, closed].map((phase) => choice.told(phase))).toEqual(
    ["ws", "hls", "hls", "snapshot", "snapshot", "snapshot"],
  );
});

test("a socket that played before it closed is tried again for ever", () => {
  const choice = new PathChoice(true);
  for (let n = 0; n < 5; n += 1) expect([choice.told(closed), choice.told(playing)]).toEqual(["ws", "ws"]);
});

test("a refused ticket and a silent server change no path", () => {
  const choice = new PathChoice(true);
  for (const status of [0, 404, 429, 500]) {
    expect(choice.told({ name: "retrying", error: new Problem(status, "", "", ""), atMs: 0 })).toBe("ws");
  }
});

test("codecs this browser cannot play leave only stills, and no other way is tried", () => {
  const choice = new PathChoice(true);
  expect(choice.told({ name: "unplayable", codecs: ["H.265 (HEVC)"] })).toBe("snapshot");
  expect(choice.unplayableCodecs).toEqual(["H.265 (HEVC)"]);
  expect(choice.isWayBackOpen).toBe(false);
});

test("from LL-HLS and from stills the way back is open, and back on the socket two failures count anew", () => {
  const choice = new PathChoice(true);
  choice.told(closed);
  choice.told(closed);
  expect(choice.isWayBackOpen).toBe(true);
  choice.take("ws");
  expect(choice.isWayBackOpen).toBe(false);
  expect(choice.told(closed)).toBe("ws");
});

test("without a media source only stills are tried", () => {
  const choice = new PathChoice(false);
  expect([choice.path, choice.told(closed), choice.told(closed)]).toEqual(["snapshot", "snapshot", "snapshot"]);
  expect(choice.isWayBackOpen).toBe(false);
});
