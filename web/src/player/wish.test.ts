import { expect, test } from "vitest";
import { isLowLatencyFor, tracksOf, type TileInSight } from "./wish";

const tile = (change: Partial<TileInSight> = {}): TileInSight => ({ tiles: 4, widthPx: 960, hasVideo: true, isInHand: false, ...change });

test("nine tiles, or one narrower than 480 pixels, take key frames only", () => {
  expect(tracksOf("auto", tile())).toBe("all");
  expect(tracksOf("auto", tile({ tiles: 8 }))).toBe("all");
  expect(tracksOf("auto", tile({ tiles: 9 }))).toBe("key");
  expect(tracksOf("auto", tile({ widthPx: 480 }))).toBe("all");
  expect(tracksOf("auto", tile({ widthPx: 479 }))).toBe("key");
});

test("the tile in hand takes every picture, whatever was chosen for the wall", () => {
  expect(tracksOf("auto", tile({ tiles: 9, widthPx: 300, isInHand: true }))).toBe("all");
  expect(tracksOf("key", tile({ isInHand: true }))).toBe("all");
});

test("a choice for the wall holds for every other tile", () => {
  expect(tracksOf("all", tile({ tiles: 9, widthPx: 300 }))).toBe("all");
  expect(tracksOf("key", tile())).toBe("key");
});

test("a stream without pictures has no key frames to choose", () => {
  expect(tracksOf("key", tile({ tiles: 9, widthPx: 300, hasVideo: false }))).toBe("all");
});

test("at most four tiles keep a connection of the browser's six waiting", () => {
  expect([1, 4, 5, 9].map(isLowLatencyFor)).toEqual([true, true, false, false]);
});
