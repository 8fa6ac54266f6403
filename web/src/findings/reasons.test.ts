import { expect, test } from "vitest";
import { FINDING_GROUPS, type ReviewVerdict } from "../api/findings";
import { draftOf, REASON_MOST, reasonsFor, reasonText } from "./reasons";

test("each verdict on each group has reasons to choose, and a picture is never misheard", () => {
  for (const group of FINDING_GROUPS) for (const verdict of ["confirmed", "rejected", "resolved"] satisfies ReviewVerdict[]) expect(reasonsFor(verdict, group).length, `${verdict} ${group}`).toBeGreaterThan(1);
  expect(reasonsFor("rejected", "integrity")).not.toContain("misheard");
  expect(reasonsFor("rejected", "conduct")).toContain("misheard");
});

test("a chosen reason and own words are one text, and either is enough", () => {
  expect(reasonText("看过录像，属实", " 第 3 秒 ")).toBe("看过录像，属实：第 3 秒");
  expect([reasonText("看过录像，属实", "  "), reasonText("", "自己写的")]).toEqual(["看过录像，属实", "自己写的"]);
});

test("no reason, or one longer than the server takes, is not sent; characters are counted, not units of a string", () => {
  expect(draftOf(reasonText("", "  "))).toBe("empty");
  expect(draftOf("𠮷".repeat(REASON_MOST))).toBe("good");
  expect(draftOf("字".repeat(REASON_MOST + 1))).toBe("over");
});
