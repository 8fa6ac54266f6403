import { expect, test } from "vitest";
import { fragmentOf, placeOf, type Place } from "./place";

test("every place comes back from its own fragment", () => {
  const places: Place[] = [{ name: "wall" }, { name: "findings" }, { name: "rules" }, { name: "faces" }, { name: "galleries" }, { name: "gallery", galleryId: "gal/1" }, { name: "suggestions" }, { name: "suggestions", caseId: "c/1 %" }, { name: "cases" }, { name: "me" }, { name: "recording", recordingId: "rec_1" }, { name: "recording", recordingId: "rec/1", at_s: 12.5 }, { name: "case", caseId: "c-1" }, { name: "together", caseId: "c/1" }, { name: "case", caseId: "沪/监 1%#" }];
  for (const place of places) expect(placeOf(fragmentOf(place))).toEqual(place);
});

test("what names no place is the wall, and a broken case the list", () => {
  for (const fragment of ["", "#", "#/", "#code=abc", "#/other", "#/cases/a/b", "#/findings/rules/x", "#/faces/x", "#/faces/galleries/a/b", "#/faces//a", "#/cases//together", "#/recordings/a/together", "#/recordings/a/1e9", "#/recordings/a/-1", "#/recordings/a/1/2"]) expect(placeOf(fragment)).toEqual({ name: "wall" });
  for (const fragment of ["#/cases/", "#/cases/%E0%A4%A"]) expect(placeOf(fragment)).toEqual({ name: "cases" });
  expect(placeOf("#/faces/galleries/%E0%A4%A")).toEqual({ name: "galleries" });
});
