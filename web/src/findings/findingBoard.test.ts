import { expect, test } from "vitest";
import { watchEffect } from "vue";
import { FindingBoard } from "./findingBoard";
import { openFinding } from "./made";

const found = (id: string) => openFinding({ finding_id: id });

test("what is told draws the tiles that it changes, and no other", () => {
  const board = new FindingBoard();
  const drawn: string[] = [];
  for (const id of ["a", "b"]) watchEffect(() => drawn.push(`${id}${board.of(id).length}`), { flush: "sync" });
  board.take({ streams: { a: [found("1")] } });
  board.take({ streams: { a: [found("1")], b: [found("2")] } });
  board.take({ streams: { b: [found("2"), found("3")] } });
  expect(drawn).toEqual(["a0", "b0", "a1", "b1", "a0", "b2"]);
});

test("one that grows worse is drawn anew", () => {
  const board = new FindingBoard();
  board.take({ streams: { a: [openFinding({ severity: "low" })] } });
  board.take({ streams: { a: [openFinding({ severity: "critical" })] } });
  expect(board.of("a")[0]?.severity).toBe("critical");
});

test("one that was closed here goes at once and stays away while the server still tells it", () => {
  const board = new FindingBoard();
  board.take({ streams: { a: [found("1"), found("2")] } });
  board.close("1");
  expect(board.of("a").map(({ finding_id }) => finding_id)).toEqual(["2"]);
  board.take({ streams: { a: [found("1"), found("2")] } });
  expect(board.of("a").map(({ finding_id }) => finding_id)).toEqual(["2"]);
  board.take({ streams: {} });
  board.take({ streams: { a: [found("1")] } });
  expect(board.of("a"), "raised anew after it was over").toHaveLength(1);
});
