import { expect, test } from "vitest";
import type { Finding } from "../api/findings";
import { besideOf, FINDINGS, foldedInto, refreshedAs, replacedAs } from "./inHand";
import { finding } from "./made";

const at = (minute: number, change: Partial<Finding> = {}): Finding => finding({ finding_id: `f${minute}`, raised_at: new Date(Date.UTC(2026, 10, 24, 1, minute)).toISOString(), ...change });
const ids = (findings: readonly Finding[]): string[] => findings.map(({ finding_id }) => finding_id);
const NONE = new Set<string>();

test("the newest page read again takes the place of its part and leaves older ones", () => {
  const inHand = [at(9), at(8), at(5), at(4)];
  expect(ids(refreshedAs(FINDINGS, inHand, [at(10), at(9)], false, NONE))).toEqual(["f10", "f9", "f8", "f5", "f4"]);
  expect(ids(refreshedAs(FINDINGS, inHand, [at(10), at(8)], false, NONE)), "one that left the filter goes").toEqual(["f10", "f8", "f5", "f4"]);
});

test("a page that is all there is leaves nothing older", () => {
  expect(ids(refreshedAs(FINDINGS, [at(9), at(5)], [at(9)], true, NONE))).toEqual(["f9"]);
  expect(ids(refreshedAs(FINDINGS, [at(9), at(5)], [], true, NONE))).toEqual([]);
});

test("what was reviewed here stays in its place although the filter lets it in no longer", () => {
  expect(ids(refreshedAs(FINDINGS, [at(9), at(8), at(7)], [at(9), at(7)], true, new Set(["f8"])))).toEqual(["f9", "f8", "f7"]);
});

test("a reviewed one stands where it stood, as the server tells it then", () => {
  expect(replacedAs(FINDINGS, [at(9), at(8)], at(8, { state: "rejected" })).map(({ finding_id, state }) => `${finding_id} ${state}`)).toEqual(["f9 new", "f8 rejected"]);
});

test("the next one is found from any, and the ends are kept", () => {
  const inHand = [at(9), at(8)];
  expect([besideOf(inHand, "", 1), besideOf(inHand, "f9", 1), besideOf(inHand, "f8", 1), besideOf(inHand, "f9", -1), besideOf([], "f9", 1)]).toEqual(["f9", "f8", "f8", "f9", ""]);
});

test("folded into one are the others of its state in the same ten minutes of the clock", () => {
  expect(ids(foldedInto(at(25), [at(30), at(29), at(27, { state: "rejected" }), at(25), at(20), at(19)]))).toEqual(["f29", "f20"]);
});
