// What a reader may do about the switch and about a suggestion, and what is waited for. Plain data work.

import type { FaceState, Gallery, Opinion, Person, Suggestion } from "../api/faces";

export type SwitchAct = "ask" | "approve" | "off";

/** What the reader is offered. The server holds to it; this only spares refusals. */
export function switchActs(state: FaceState): readonly SwitchAct[] {
  const asked = state.switch?.state === "asked";
  const acts: SwitchAct[] = [];
  if (state.may_ask && !asked && !state.is_on) acts.push("ask");
  if (asked && state.switch?.may_approve === true && !state.switch.is_mine) acts.push("approve");
  if (state.may_stop && (asked || state.switch?.state === "on")) acts.push("off");
  return acts;
}

export type PersonAct = "confirm" | "refuse" | "delete";

/** Who proposed is not the second pair of eyes: the server says so by `may_confirm`. */
export function personActs(person: Person, gallery: Gallery): readonly PersonAct[] {
  const isStanding = person.state === "proposed" || person.state === "enrolled";
  if (gallery.state !== "open" || !isStanding) return [];
  const isWaiting = person.state === "proposed" || person.proposed_templates > 0;
  const acts: PersonAct[] = isWaiting && person.may_confirm ? ["confirm", "refuse"] : [];
  if (gallery.may_enrol) acts.push("delete");
  return acts;
}

/** What a suggestion waits for, as its reader is told. */
export type Standing = "yours" | "third_yours" | "waits" | "third_waits" | "others" | "over";

export function standingOf(suggestion: Suggestion): Standing {
  const { state, may_judge, opinions } = suggestion;
  if (state !== "open" && state !== "split") return "over";
  if (may_judge) return state === "split" ? "third_yours" : "yours";
  if (state === "split") return "third_waits";
  return opinions.some(({ is_mine }) => is_mine) ? "waits" : "others";
}

/** The opinions that may be shown, and of how many others it is only told that they exist. */
export function shownOpinions({ state, opinions, given }: Suggestion): { readonly shown: readonly Opinion[]; readonly hidden: number } {
  const isOver = state !== "open" && state !== "split";
  const shown = isOver ? opinions : opinions.filter(({ is_mine }) => is_mine); // blind, whatever the server sent
  return { shown, hidden: Math.max(0, given - shown.length) };
}
