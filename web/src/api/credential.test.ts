import { expect, test } from "vitest";
import { codeOf, credentialOf } from "./credential";

test("the code is read from a link's fragment", () => {
  expect(codeOf("#code=a-B_9")).toBe("a-B_9");
  expect(codeOf("#code=")).toBeNull();
  expect(codeOf("")).toBeNull();
});

test("a pasted link gives its code, anything else is a token", () => {
  expect(credentialOf(" http://10.0.0.2:8000/#code=xyz\n")).toEqual({ code: "xyz" });
  expect(credentialOf("#code=xyz")).toEqual({ code: "xyz" });
  expect(credentialOf("onr_abc.def")).toEqual({ token: "onr_abc.def" });
  expect(credentialOf("  ")).toBeNull();
});
