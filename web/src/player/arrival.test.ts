import { expect, test } from "vitest";
import { Arrival } from "./arrival";

function streamed(everyMs: number, seconds: number, lateMs: (n: number) => number = () => 0): { arrival: Arrival; nowMs: number } {
  const arrival = new Arrival();
  let nowMs = 0;
  for (let n = 1; n * everyMs <= seconds * 1000; n += 1) {
    nowMs = 5_000 + n * everyMs + lateMs(n);
    arrival.arrived(nowMs, 100 + (n * everyMs) / 1000, false);
  }
  return { arrival, nowMs };
}

test("an even stream needs the least buffer", () => {
  const { arrival, nowMs } = streamed(40, 5);
  expect(arrival.targetS(nowMs)).toBe(0.15);
});

test("fragments of a fifth of a second need a fifth of a second and a margin", () => {
  const { arrival, nowMs } = streamed(200, 5);
  expect(arrival.targetS(nowMs)).toBeCloseTo(0.26);
});

test("repeated jitter grows the target and ten quiet seconds shrink it again", () => {
  const late = (n: number): number => (n === 25 || n === 75 ? 300 : 0);
  const { arrival, nowMs } = streamed(40, 4, late);
  expect(arrival.targetS(nowMs)).toBeCloseTo(0.4, 1);
  const calm = streamed(40, 20, late);
  expect(calm.arrival.targetS(calm.nowMs)).toBe(0.15);
});

test("one hiccup alone does not grow the target", () => {
  const { arrival, nowMs } = streamed(40, 5, (n) => (n === 50 ? 800 : 0));
  expect(arrival.targetS(nowMs)).toBe(0.15);
});

test("an outage is not jitter", () => {
  const { arrival, nowMs } = streamed(40, 5);
  arrival.arrived(nowMs + 8_000, 113, false);
  expect(arrival.targetS(nowMs + 8_000)).toBe(0.15);
});

test("the first burst says nothing about jitter", () => {
  const arrival = new Arrival();
  for (let n = 0; n < 50; n += 1) arrival.arrived(1_000, n / 25, true);
  expect(arrival.targetS(1_000)).toBe(0.3);
  expect(arrival.edgeS(1_100)).toBeCloseTo(49 / 25 + 0.1);
});

test("a stall raises the target for a while and never without end", () => {
  const { arrival, nowMs } = streamed(40, 5);
  for (let n = 0; n < 50; n += 1) arrival.stalled(nowMs);
  expect(arrival.targetS(nowMs)).toBeCloseTo(0.45);
  expect(arrival.targetS(nowMs + 20_000)).toBeLessThan(0.31);
});
