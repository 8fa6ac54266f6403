import { expect, test } from "vitest";
import { Heights } from "./heights";

test("a row is found at every pixel it takes", () => {
  const heights = new Heights();
  const keys = Array.from({ length: 1_000 }, (_, i) => `k${i}`);
  heights.take(keys);
  heights.measure(keys.map((key, i) => [key, 10 + (i % 7)] as const));
  for (let row = 0; row < keys.length; row += 1) {
    expect(heights.rowAt(heights.topOf(row))).toBe(row);
    expect(heights.rowAt(heights.topOf(row + 1) - 1)).toBe(row);
  }
  expect(heights.rowAt(-5)).toBe(0);
  expect(heights.rowAt(heights.totalPx + 5)).toBe(999);
});

test("what was measured stays with its row when older rows come before it", () => {
  const heights = new Heights();
  heights.take(["b"]);
  expect(heights.measure([["b", 50]])).toBe(true);
  expect(heights.measure([["b", 50]])).toBe(false);
  heights.take(["a", "b", "c"]);
  expect([heights.topOf(1), heights.topOf(2), heights.totalPx]).toEqual([30, 80, 110]);
  heights.forget();
  expect(heights.totalPx).toBe(90);
});

test("an empty list has no height", () => {
  const heights = new Heights();
  heights.take([]);
  expect([heights.totalPx, heights.rowAt(0)]).toEqual([0, 0]);
});
