import { expect, test } from "vitest";
import { backoffMs } from "./backoff";
import { ServerClock } from "./clock";
import { changeOfTracks, codecName, codecsOf, parseMessage } from "./message";

test("messages are read, and unknown or broken ones passed over", () => {
  expect(parseMessage('{"type":"gap","lost_s":1.2,"reason":"reader_slow"}')).toEqual({ type: "gap", lostS: 1.2, reason: "reader_slow" });
  expect(parseMessage('{"type":"time","pts_s":5,"captured_at":"1970-01-01T00:00:01.500Z"}')).toEqual({ type: "time", ptsS: 5, capturedMs: 1500 });
  expect(parseMessage('{"type":"time","pts_s":5,"captured_at":"?"}')).toBeNull();
  expect(parseMessage('{"type":"weather"}')).toBeNull();
  expect(parseMessage("{")).toBeNull();
  expect(parseMessage("null")).toBeNull();
});

test("codecs are named as people know them", () => {
  expect(codecsOf('video/mp4; codecs="hvc1.1.6.L93.B0, mp4a.40.2"').map(codecName)).toEqual(["H.265 (HEVC)", "AAC"]);
});

test("a change of codec changes the type, a change in the number of tracks rebuilds", () => {
  const mime = (codecs: string): string => `video/mp4; codecs="${codecs}"`;
  expect(changeOfTracks(mime("avc1.1"), mime("avc1.1"))).toBe("none");
  expect(changeOfTracks(mime("avc1.1"), mime("hvc1.1"))).toBe("change_type");
  expect(changeOfTracks(mime("avc1.1"), mime("avc1.1, mp4a.40.2"))).toBe("rebuild");
});

test("the wait before the next try doubles, is spread by chance, and has an end", () => {
  expect(backoffMs(0, 1)).toBe(500);
  expect(backoffMs(0, 0)).toBe(250);
  expect(backoffMs(3, 1)).toBe(4_000);
  expect(backoffMs(40, 1)).toBe(15_000);
});

test("the clock's offset comes from the quickest round trip of the last minute", () => {
  const clock = new ServerClock();
  expect(clock.offsetMs).toBe(0);
  clock.sampled(1_000, 6_400, 1_800);
  clock.sampled(2_000, 7_010, 2_020);
  expect(clock.offsetMs).toBe(5_000);
  clock.sampled(90_000, 95_300, 90_200);
  expect(clock.offsetMs).toBe(5_200);
});
