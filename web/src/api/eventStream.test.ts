import { expect, test } from "vitest";
import { EventStreamReader } from "./eventStream";

const STREAM = 'id: 7\nevent: NoteAdded\ndata: {"a":1}\n\n: still here\n\nid:8\r\ndata: one\r\ndata: two\r\n\r\nid: 9\n';

test("messages are the same wherever the network cuts the text", () => {
  const whole = new EventStreamReader().feed(STREAM);
  expect(whole).toEqual([
    { id: "7", event: "NoteAdded", data: '{"a":1}' },
    { id: "8", event: "message", data: "one\ntwo" },
  ]);
  for (let at = 0; at <= STREAM.length; at += 1) {
    const reader = new EventStreamReader();
    expect([...reader.feed(STREAM.slice(0, at)), ...reader.feed(STREAM.slice(at))]).toEqual(whole);
  }
});

test("a message cut off before its end is not told, and is asked for again", () => {
  const reader = new EventStreamReader("6");
  expect(reader.feed("id: 7\ndata: x\n")).toEqual([]);
  expect(reader.lastId).toBe("6");
  expect(reader.feed("\n")).toHaveLength(1);
  expect(reader.lastId).toBe("7");
});

test("an id without data moves the place where the stream is taken up again", () => {
  const reader = new EventStreamReader();
  expect(reader.feed("id: 12\n\n")).toEqual([]);
  expect(reader.lastId).toBe("12");
});

test("a line without an end is refused, not kept for ever", () => {
  const reader = new EventStreamReader();
  expect(() => reader.feed("x".repeat(1_048_577))).toThrow();
});
