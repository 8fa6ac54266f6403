import { expect, test } from "vitest";
import { watchEffect } from "vue";
import { CaptionBoard } from "./captionBoard";
import { SHOWN_MS } from "./captions";
import { caption } from "./captions.made";

test("a message draws the bar of its own stream only, a bar that waits for its first line too", () => {
  const board = new CaptionBoard();
  const drawn: string[] = [];
  for (const id of ["a", "b"]) watchEffect(() => drawn.push(`${id}${board.of(id).length}`), { flush: "sync" });
  board.take(caption({ stream_id: "a" }), 0);
  board.take(caption({ stream_id: "b" }), 10);
  board.take(caption({ stream_id: "unseen" }), 20);
  board.sweep(SHOWN_MS + 5);
  expect(drawn).toEqual(["a0", "b0", "a1", "b1", "a0"]);
});

test("lines that are over leave nothing behind", () => {
  const board = new CaptionBoard();
  expect(board.nextEndMs()).toBeNull();
  board.take(caption({ stream_id: "a" }), 1_000);
  board.take(caption({ stream_id: "b" }), 3_000);
  expect(board.nextEndMs()).toBe(1_000 + SHOWN_MS);
  board.sweep(1_000 + SHOWN_MS);
  expect(board.count).toBe(1);
  board.sweep(3_000 + SHOWN_MS);
  expect(board.count).toBe(0);
});

test("past fifty streams the one not heard of for longest makes room", () => {
  const board = new CaptionBoard();
  for (let n = 0; n < 50; n += 1) board.take(caption({ stream_id: `s${n}` }), n);
  board.take(caption({ stream_id: "s0" }), 60);
  board.take(caption({ stream_id: "s50" }), 61);
  expect(board.count).toBe(50);
  expect(board.of("s1")).toEqual([]);
  expect(board.of("s0")).toHaveLength(1);
});

test("a break takes the hypotheses of every stream", () => {
  const board = new CaptionBoard();
  board.take(caption({ stream_id: "a" }), 0);
  board.take(caption({ stream_id: "b", is_final: true }), 0);
  board.broken();
  expect([board.of("a").length, board.of("b").length]).toEqual([0, 1]);
});
