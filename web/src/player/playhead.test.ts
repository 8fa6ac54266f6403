import { expect, test } from "vitest";
import { nextMove, trimEndS, type Playhead } from "./playhead";

const playhead = (change: Partial<Playhead>): Playhead => ({
  currentS: 9.8, ranges: [{ startS: 0, endS: 10 }], edgeS: 10, targetS: 0.2, rate: 1, isStarting: false, isHeard: false, ...change,
});

test("at the target distance it plays at the natural rate", () => {
  expect(nextMove(playhead({}))).toEqual({ kind: "hold", rate: 1 });
});

test("with sound on it catches up without being heard, and far behind it jumps", () => {
  expect(nextMove(playhead({ currentS: 9.62, isHeard: true }))).toEqual({ kind: "hold", rate: 1.06 });
  expect(nextMove(playhead({ currentS: 8.5, isHeard: true }))).toEqual({ kind: "hold", rate: 1.08 });
  expect(nextMove(playhead({ currentS: 8.2, isHeard: true }))).toMatchObject({ kind: "jump", reason: "behind" });
});

test("muted it hurries while more than half a second behind, and less near the edge", () => {
  expect(nextMove(playhead({ currentS: 8.5 }))).toEqual({ kind: "hold", rate: 1.25 });
  expect(nextMove(playhead({ currentS: 9.55 }))).toEqual({ kind: "hold", rate: 1.1 });
  expect(nextMove(playhead({ currentS: 9.77, rate: 1.1 }))).toMatchObject({ kind: "hold", rate: 1.06 });
});

test("from 1.5 s behind a muted tile is 0.4 s behind within about 5 s, and slows down only once", () => {
  let head = playhead({ currentS: 8.5 });
  let nearAtS = Infinity;
  const rates: number[] = [];
  for (let n = 1; n <= 100; n += 1) {
    const move = nextMove(head);
    if (move.kind !== "hold") throw new Error("it jumped");
    rates.push(move.rate);
    const edgeS = 10 + n / 10;
    head = playhead({ currentS: head.currentS + move.rate / 10, ranges: [{ startS: 0, endS: edgeS }], edgeS, rate: move.rate });
    if (edgeS - head.currentS < 0.4) nearAtS = Math.min(nearAtS, n / 10);
  }
  expect(nearAtS).toBeLessThan(5.5);
  expect(rates.every((rate, n) => n === 0 || rate <= (rates[n - 1] ?? 0))).toBe(true);
});

test("once catching up it goes on to the target instead of flapping", () => {
  expect(nextMove(playhead({ currentS: 9.76, rate: 1.02 }))).toEqual({ kind: "hold", rate: 1.08 });
  expect(nextMove(playhead({ currentS: 9.76, rate: 1 }))).toEqual({ kind: "hold", rate: 1 });
});

test("with too small a reserve it slows a little so that the reserve grows", () => {
  expect(nextMove(playhead({ currentS: 9.99 }))).toEqual({ kind: "hold", rate: 0.96 });
});

test("more than two seconds behind it jumps to the target distance", () => {
  expect(nextMove(playhead({ currentS: 7 }))).toEqual({ kind: "jump", toS: 9.8, reason: "behind" });
});

test("in the first moments it jumps rather than hurries", () => {
  expect(nextMove(playhead({ currentS: 9.2, isStarting: true }))).toEqual({ kind: "jump", toS: 9.8, reason: "behind" });
});

test("at a hole it jumps into the newest range", () => {
  const ranges = [{ startS: 0, endS: 5 }, { startS: 8, endS: 8.1 }];
  expect(nextMove(playhead({ currentS: 4.99, ranges }))).toEqual({ kind: "jump", toS: 8, reason: "hole" });
  expect(nextMove(playhead({ currentS: 6, ranges }))).toEqual({ kind: "jump", toS: 8, reason: "outside" });
});

test("before all media it jumps in, and a little past the end it waits", () => {
  expect(nextMove(playhead({ currentS: 0, ranges: [{ startS: 50, endS: 52 }] }))).toMatchObject({ kind: "jump", toS: 51.8 });
  expect(nextMove(playhead({ currentS: 10.2 }))).toEqual({ kind: "hold", rate: 1 });
});

test("a stream whose time began anew is followed", () => {
  expect(nextMove(playhead({ currentS: 500, ranges: [{ startS: 0, endS: 1 }] }))).toMatchObject({ kind: "jump", toS: 0.8 });
});

test("without media it holds", () => {
  expect(nextMove(playhead({ ranges: [] }))).toEqual({ kind: "hold", rate: 1 });
});

test("the past is trimmed in steps, never near the playhead", () => {
  expect(trimEndS([{ startS: 0, endS: 20 }], 9, 5)).toBeNull();
  expect(trimEndS([{ startS: 0, endS: 20 }], 12, 5)).toBe(7);
  expect(trimEndS([], 12, 5)).toBeNull();
});
