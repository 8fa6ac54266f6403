import { expect, test } from "vitest";
import type { FaceState, FaceSwitch, Gallery, Opinion, Person, Suggestion } from "../api/faces";
import { personActs, shownOpinions, standingOf, switchActs } from "./standing";

const asked = (change: Partial<FaceSwitch>): FaceSwitch => ({ state: "asked", is_mine: false, may_approve: false, ...change }) as FaceSwitch;
const state = (change: Partial<FaceState>): FaceState => ({ is_on: false, switch: null, may_ask: false, may_approve: false, may_stop: false, ...change }) as FaceState;
const opinion = (is_mine: boolean): Opinion => ({ by_name: is_mine ? "我" : "她", is_mine, verdict: "same", reason: "像", at: "" });
const suggestion = (change: Partial<Suggestion>): Suggestion => ({ state: "open", opinions: [], given: 0, may_judge: false, ...change }) as Suggestion;
const gallery = (change: Partial<Gallery>): Gallery => ({ state: "open", may_enrol: true, ...change }) as Gallery;
const person = (change: Partial<Person>): Person => ({ state: "proposed", proposed_templates: 1, may_confirm: true, ...change }) as Person;

test("who may ask is offered the form only while nothing is asked for or on", () => {
  expect(switchActs(state({ may_ask: true }))).toEqual(["ask"]);
  expect(switchActs(state({ may_ask: true, switch: asked({ state: "off" }) }))).toEqual(["ask"]);
  expect(switchActs(state({ may_ask: true, switch: asked({ is_mine: true }) }))).toEqual([]);
  expect(switchActs(state({ may_ask: true, is_on: true, switch: asked({ state: "on" }) }))).toEqual([]);
  expect(switchActs(state({ may_approve: true, may_stop: true }))).toEqual([]);
});

test("an application is approved by another than who asked, whatever else he may", () => {
  expect(switchActs(state({ may_approve: true, switch: asked({ may_approve: true }) }))).toEqual(["approve"]);
  expect(switchActs(state({ may_approve: true, switch: asked({ may_approve: true, is_mine: true }) }))).toEqual([]);
});

test("either ends what is asked for or on, and nothing that is over", () => {
  expect(switchActs(state({ may_stop: true, switch: asked({}) }))).toEqual(["off"]);
  expect(switchActs(state({ may_stop: true, is_on: true, switch: asked({ state: "on" }) }))).toEqual(["off"]);
  expect(switchActs(state({ may_stop: true, switch: asked({ state: "off" }) }))).toEqual([]);
});

test("a person who waits is confirmed by who may, deleted by who enrols, and nothing is done in a closed gallery", () => {
  expect(personActs(person({}), gallery({}))).toEqual(["confirm", "refuse", "delete"]);
  expect(personActs(person({ may_confirm: false }), gallery({}))).toEqual(["delete"]);
  expect(personActs(person({ state: "enrolled", proposed_templates: 0 }), gallery({ may_enrol: false }))).toEqual([]);
  expect(personActs(person({ state: "enrolled", proposed_templates: 2 }), gallery({ may_enrol: false }))).toEqual(["confirm", "refuse"]);
  expect(personActs(person({ state: "gone" }), gallery({}))).toEqual([]);
  expect(personActs(person({}), gallery({ state: "closed" }))).toEqual([]);
});

test("a suggestion says whose turn it is", () => {
  expect(standingOf(suggestion({ may_judge: true }))).toBe("yours");
  expect(standingOf(suggestion({ opinions: [opinion(true)], given: 1 }))).toBe("waits");
  expect(standingOf(suggestion({ given: 1 }))).toBe("others");
  expect(standingOf(suggestion({ state: "split", may_judge: true, given: 2 }))).toBe("third_yours");
  expect(standingOf(suggestion({ state: "split", opinions: [opinion(true)], given: 2 }))).toBe("third_waits");
  expect(standingOf(suggestion({ state: "confirmed", may_judge: true }))).toBe("over");
});

test("another's opinion is counted and never shown before it is decided", () => {
  expect(shownOpinions(suggestion({ opinions: [opinion(false)], given: 1 }))).toEqual({ shown: [], hidden: 1 });
  expect(shownOpinions(suggestion({ state: "split", opinions: [opinion(true), opinion(false)], given: 2 }))).toEqual({ shown: [opinion(true)], hidden: 1 });
  expect(shownOpinions(suggestion({ state: "rejected", opinions: [opinion(true), opinion(false)], given: 2 })).shown).toHaveLength(2);
});
