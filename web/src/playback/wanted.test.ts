import { expect, test } from "vitest";
import { around, from } from "./wanted";

test("an approval is asked for around the second that brought the reader here, within the recording", () => {
  expect(around(null, 100)).toEqual([0, 20]);
  expect(around(null, 7.5)).toEqual([0, 7]);
  expect(around(null, 0.2)).toEqual([0, 20]);
  expect(around(30.7, 100)).toEqual([28, 48]);
  expect(around(1, 100)).toEqual([0, 20]);
  expect(around(95, 100)).toEqual([93, 100]);
  expect(around(500, 100)).toEqual([99, 100]);
});

test("it plays from a moment before that second, as far as an approval reaches, and not outside of one", () => {
  const allowed = [{ start_s: 10, end_s: 30 }, { start_s: 20, end_s: 60 }, { start_s: 80, end_s: 90 }];
  expect(from(25, allowed)).toEqual({ start_s: 23, end_s: 60 });
  expect(from(10.5, allowed)).toEqual({ start_s: 10, end_s: 30 });
  for (const wanted_s of [null, 5, 60, 70]) expect(from(wanted_s, allowed)).toBeNull();
});
