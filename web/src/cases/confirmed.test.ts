import { expect, test } from "vitest";
import type { TimelineItem } from "../api/cases";
import { confirmedOf } from "./confirmed";

const reviewed = (seq: number, finding_id: string, verdict: string): TimelineItem => ({ event_id: `e${seq}`, seq, kind: "FindingReviewed", at: "2026-11-24T01:00:00.000Z", by: "u", finding_id, verdict });

test("the last review of a finding counts, in whatever order they come", () => {
  const items = [reviewed(5, "a", "confirmed"), reviewed(2, "a", "rejected"), reviewed(3, "b", "confirmed"), reviewed(4, "b", "rejected"), reviewed(6, "c", "resolved")];
  expect([...confirmedOf(items)]).toEqual(["a"]);
});

test("a suggestion is confirmed when two people have said so, not by one opinion", () => {
  const told = (kind: string, suggestion_id: string): TimelineItem => ({ event_id: kind, seq: 1, kind, at: "2026-11-24T01:00:00.000Z", by: "u", suggestion_id });
  expect([...confirmedOf([told("FaceSuggested", "s1"), told("FaceOpinionGiven", "s1"), told("FaceConfirmed", "s2"), told("FaceRejected", "s3")])]).toEqual(["s2"]);
});
