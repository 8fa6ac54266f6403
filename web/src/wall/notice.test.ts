import { expect, test } from "vitest";
import { noticeOf, type Situation } from "./notice";

const situation = (change: Partial<Situation>): Situation => ({
  state: "live", stateForS: 60, stateSince: "10:00", path: "ws", tracks: "all", phase: { name: "playing" }, phaseForMs: 5_000, pictureForMs: 40, nowMs: 0, ...change,
});

test("a playing tile says nothing", () => {
  expect(noticeOf(situation({}))).toBeNull();
});

test("a wait of more than two seconds names its step, a shorter one says nothing", () => {
  for (const name of ["ticket", "connecting", "first_picture"] as const) {
    expect(noticeOf(situation({ phase: { name }, phaseForMs: 1_500 }))).toBeNull();
    expect(noticeOf(situation({ phase: { name }, phaseForMs: 2_500 }))?.key).toBe(`step.${name}`);
  }
});

test("the device's state comes before what the player does", () => {
  const phase = { name: "retrying", error: new Error("x"), atMs: 0 } as const;
  expect(noticeOf(situation({ state: "reconnecting", stateForS: 7.2, phase }))).toMatchObject({ key: "tile.waited", values: { n: 7 }, isOld: true });
  expect(noticeOf(situation({ state: "lost", phase }))).toMatchObject({ key: "tile.since", isOld: true });
});

test("a live tile whose picture stands still says so", () => {
  expect(noticeOf(situation({ pictureForMs: 4_000 }))).toMatchObject({ key: "tile.stalled", values: { n: 4 }, isOld: true });
});

test("a still may stand for longer than a moving picture", () => {
  expect(noticeOf(situation({ path: "snapshot", pictureForMs: 3_000 }))).toBeNull();
  expect(noticeOf(situation({ path: "snapshot", pictureForMs: 5_000 }))).toMatchObject({ key: "tile.stalled" });
});

test("a key frame may stand until the next is overdue, and not on a path that has every picture", () => {
  expect(noticeOf(situation({ tracks: "key", pictureForMs: 5_000 }))).toBeNull();
  expect(noticeOf(situation({ tracks: "key", pictureForMs: 7_000 }))).toMatchObject({ key: "tile.stalled", values: { n: 7 }, isOld: true });
  expect(noticeOf(situation({ path: "hls", tracks: "key", pictureForMs: 5_000 }))).toMatchObject({ key: "tile.stalled" });
});

test("a codec the browser cannot play is named with its remedy", () => {
  const notice = noticeOf(situation({ phase: { name: "unplayable", codecs: ["H.265 (HEVC)"] } }));
  expect(notice).toMatchObject({ values: { codecs: "H.265 (HEVC)" }, remedyKey: "play.unplayableRemedy" });
});
