import { expect, test } from "vitest";
import { COMMANDS, commandOf, OPINION_COMMANDS, opinionCommandOf, REVIEW_COMMANDS, reviewCommandOf, tileOf, type KeyPress } from "./registry";

const press = (key: string, change: Partial<KeyPress> = {}): KeyPress => ({
  key, code: "", shiftKey: false, ctrlKey: false, altKey: false, metaKey: false, isComposing: false, ...change,
});

test("digits select tiles, with shift they choose layouts", () => {
  expect(commandOf(press("3", { code: "Digit3" }))?.id).toBe("focus");
  expect(tileOf(press("3", { code: "Digit3" }))).toBe(2);
  expect(commandOf(press("$", { code: "Digit4", shiftKey: true }))?.id).toBe("layout4");
  expect(commandOf(press("@", { code: "Digit2", shiftKey: true }))).toBeNull();
});

test("the question mark of a Chinese keyboard opens the help sheet too", () => {
  expect(commandOf(press("？", { shiftKey: true }))?.id).toBe("help");
  expect(commandOf(press("?", { shiftKey: true }))?.id).toBe("help");
});

test("keys are off while composing and with a command key", () => {
  expect(commandOf(press("m"))?.id).toBe("mute");
  expect(commandOf(press("m", { isComposing: true }))).toBeNull();
  expect(commandOf(press("f", { ctrlKey: true }))).toBeNull();
});

test("no command stands in the registry twice", () => {
  for (const commands of [COMMANDS, REVIEW_COMMANDS, OPINION_COMMANDS]) expect(new Set(commands.map(({ id }) => id)).size).toBe(commands.length);
});

test("C is for captions, and with a command key it stays the browser's", () => {
  expect(commandOf(press("c"))?.id).toBe("captions");
  expect(commandOf(press("c", { ctrlKey: true }))).toBeNull();
});

test("in a list of findings J and K go on and back, C and R confirm and reject; A opens it from the wall", () => {
  expect(["j", "k", "c", "r", "s"].map((key) => reviewCommandOf(press(key))?.id)).toEqual(["nextFinding", "previousFinding", "confirmed", "rejected", "resolved"]);
  expect(reviewCommandOf(press("r", { ctrlKey: true }))).toBeNull();
  expect(commandOf(press("a"))?.id).toBe("findings");
});

test("in a list of suggestions S, D and T say same, different and cannot tell", () => {
  expect(["j", "k", "s", "d", "t", "c"].map((key) => opinionCommandOf(press(key))?.id)).toEqual(["nextSuggestion", "previousSuggestion", "same", "different", "cannot_tell", undefined]);
  expect(opinionCommandOf(press("S", { shiftKey: true }))).toBeNull();
});
