import { expect, test } from "vitest";
import type { Session } from "../api/server";
import { kindsFor, mayReadFaces } from "./rights";

const session = (unit: string, permissions: Record<string, string>): Session => ({ unit, permissions }) as unknown as Session;

test("galleries of cases are made by who reads cases, the roster's by who reaches the whole bureau", () => {
  expect(kindsFor(session("一队", { "faces.enrol": "unit", "cases.read": "unit" }))).toEqual(["case"]);
  expect(kindsFor(session("", { "faces.enrol": "unit", "cases.read": "unit" }))).toEqual(["case", "roster"]);
  expect(kindsFor(session("", { "faces.enrol": "own", "cases.read": "own" }))).toEqual(["case"]);
  expect(kindsFor(session("", { "faces.enrol": "bureau" }))).toEqual(["roster"]);
  expect(kindsFor(session("", { "cases.read": "unit" }))).toEqual([]);
});

test("who may only see whether it is on sees neither galleries nor suggestions", () => {
  expect([session("", { "faces.state": "bureau" }), session("", { "faces.state": "bureau", "faces.read": "unit" })].map(mayReadFaces)).toEqual([false, true]);
});
