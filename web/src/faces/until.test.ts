import { expect, test } from "vitest";
import { isoOf, typedOf } from "./until";

test("a typed time is the reader's own, to the minute, and comes back as it was", () => {
  expect(typedOf(new Date(isoOf("2026-12-01T09:30") ?? ""))).toBe("2026-12-01T09:30");
  expect(["", "soon", "2026-13-01T00:00"].map(isoOf)).toEqual([null, null, null]);
});
