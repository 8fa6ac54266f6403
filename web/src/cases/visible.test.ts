import { expect, test } from "vitest";
import { visible } from "./visible";

test("signs that turn or hide text are written out", () => {
  expect(visible("合格\u202e格合不")).toBe("合格⟨U+202E⟩格合不");
  expect(visible("a\u0000b\u200bc\u2066d\ufeff\u001b[31m")).toBe("a⟨U+0000⟩b⟨U+200B⟩c⟨U+2066⟩d⟨U+FEFF⟩⟨U+001B⟩[31m");
  expect(visible("x\u{e0041}y\ud800z")).toBe("x⟨U+E0041⟩y⟨U+D800⟩z");
});

test("plain text, line ends and pictures stay as they are", () => {
  for (const text of ["第一行\n\t第二行", "Größe 😀 𠮷", ""]) expect(visible(text)).toBe(text);
  expect(visible("a\r\nb")).toBe("a\nb");
});
