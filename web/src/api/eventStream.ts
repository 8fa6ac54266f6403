// The text of a server-sent event stream, cut into messages. Plain text work. Source: HTML standard, section 9.2.6.

export interface Message {
  readonly id: string;
  readonly event: string;
  readonly data: string;
}

const LINE_MOST = 1_048_576; // signs without a line's end: no timeline item is that long

export class EventStreamReader {
  /** The last id heard: where the stream is taken up again. Empty: none yet. */
  lastId: string;
  private rest = "";
  private event = "";
  private data: string[] = [];
  private id: string;

  constructor(lastId = "") {
    this.lastId = this.id = lastId;
  }

  /** The messages that `text` completes. Throws: a line without an end. */
  feed(text: string): Message[] {
    const lines = (this.rest + text).split("\n");
    this.rest = lines.pop() ?? "";
    if (this.rest.length > LINE_MOST) throw new Error("an event stream's line has no end");
    return lines.map((line) => this.line(line.replace(/\r$/, ""))).filter((message) => message !== null);
  }

  private line(line: string): Message | null {
    if (line === "") return this.dispatch();
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") this.event = value;
    else if (field === "data") this.data.push(value);
    else if (field === "id" && !value.includes("\0")) this.id = value;
    return null;
  }

  private dispatch(): Message | null {
    this.lastId = this.id;
    const { event, data } = this;
    this.event = "";
    this.data = [];
    return data.length === 0 ? null : { id: this.id, event: event || "message", data: data.join("\n") };
  }
}
