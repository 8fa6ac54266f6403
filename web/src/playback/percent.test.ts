import { expect, test } from "vitest";
import { percentOf } from "./percent";

test("a span lies where its seconds are", () => {
  expect(percentOf({ start_s: 10, end_s: 30 }, 40)).toEqual({ left: "25%", width: "50%" });
});

test("a short one can still be seen, and none leaves the bar", () => {
  expect(percentOf({ start_s: 0, end_s: 0.001 }, 3600)).toEqual({ left: "0%", width: "0.2%" });
  expect(percentOf({ start_s: 50, end_s: 90 }, 60)).toEqual({ left: `${(100 * 50) / 60}%`, width: `${100 - (100 * 50) / 60}%` });
  expect(percentOf({ start_s: 0, end_s: 5 }, 0)).toEqual({ left: "0%", width: "100%" });
});
