import { beforeAll, expect, test, vi } from "vitest";

beforeAll(async () => {
  await import("vue"); // looks for a page once, and finds none
  vi.stubGlobal("localStorage", { getItem: () => "zh-CN", setItem: () => undefined });
  vi.stubGlobal("document", { documentElement: {} });
});

test("a rate is told as one of so many strangers, two digits, never as rarer than it is", async () => {
  const { roundedDown } = await import("./odds");
  expect([1, 9, 10, 99, 104, 9_743, 10_000, 10_999, 1_234_567].map(roundedDown)).toEqual([1, 9, 10, 99, 100, 9_700, 10_000, 10_000, 1_200_000]);
});

test("the odds in both languages, and none where nothing was measured", async () => {
  const { language } = await import("../texts/language");
  const { oddsText } = await import("./odds");
  language.value = "zh-CN";
  expect(oddsText(10_000, "measured")).toBe("约每 10,000 名陌生人中有 1 人同样相似");
  for (const [oneIn, basis] of [[10_000, "stated"], [10_000, ""], [0, "measured"], [Infinity, "fitted"], [undefined, "measured"]] as const) expect(oddsText(oneIn, basis)).toContain("误认率未知");
  language.value = "en";
  expect(oddsText(10_000, "fitted")).toBe("about 1 of 10,000 strangers would look as alike");
});

test("a refused picture is told by its reason in words, and which of them it was", async () => {
  const { language } = await import("../texts/language");
  const { Problem } = await import("../api/problem");
  const { refusalOf } = await import("./refusal");
  language.value = "zh-CN";
  const refused = (more: Record<string, unknown>): string => refusalOf(new Problem(422, "Unprocessable Content", "as it is told", "", more), 2);
  expect(refused({ reason: "several_faces", index: 1 })).toBe("第 2 张：有多张人脸；请裁成只有这一个人。");
  expect(refusalOf(new Problem(422, "", "", "", { reason: "blurred", index: 0 }), 1)).toBe("人脸模糊。");
  expect(refused({ reason: "no_face" })).toBe("没有找到人脸（画像、雕塑也不算）。");
  expect(refused({ reason: "of_a_later_day" })).toBe("as it is told");
  expect(refused({})).toBe("");
  expect(refusalOf(new Error("x"), 1)).toBe("");
});
