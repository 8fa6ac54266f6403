import { expect, test } from "vitest";
import { draftOf, MOST } from "./correcting";

test("a text that is left as it is says that it was heard rightly", () => {
  expect(draftOf(" 出示证件 ", "出示证件")).toBe("same");
  expect(draftOf("请出示证件", "出示证件")).toBe("changed");
});

test("nothing, and more than the server takes, is not sent", () => {
  expect(draftOf(" \n", "出示证件")).toBe("empty");
  expect(draftOf("𠮷".repeat(MOST), "")).toBe("changed");
  expect(draftOf("字".repeat(MOST + 1), "")).toBe("over");
});
