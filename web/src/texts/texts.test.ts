import { expect, test } from "vitest";
import { COMMANDS, OPINION_COMMANDS, REVIEW_COMMANDS } from "../keys/registry";
import { en } from "./en";
import { zh } from "./zh";

const placeholders = (text: string): string[] => [...text.matchAll(/\{(\w+)\}/g)].map((match) => match[1] ?? "").sort();

test("both languages have the same keys", () => {
  expect(Object.keys(en).sort()).toEqual(Object.keys(zh).sort());
});

test("both languages fill in the same values, and neither is empty", () => {
  for (const [key, text] of Object.entries(zh)) {
    const other = en[key as keyof typeof zh];
    expect(placeholders(other), key).toEqual(placeholders(text));
    expect(text.trim() && other.trim(), key).not.toBe("");
  }
});

test("every command of the key registry has a label in both", () => {
  for (const { label } of [...COMMANDS, ...REVIEW_COMMANDS, ...OPINION_COMMANDS]) expect([zh[label], en[label]]).not.toContain(undefined);
});
