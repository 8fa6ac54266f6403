// A live stream by WebSocket in a video element: ticket, socket, buffer, playhead, and the tries after a failure.

import { Arrival } from "./arrival";
import { backoffMs } from "./backoff";
import type { DisplayedPictures } from "./displayedPictures";
import { parseMessage, type Message } from "./message";
import type { PathPlayer, Phase, PlayerEnds } from "./phase";
import { PictureBuffer, unplayableCodecs } from "./pictureBuffer";
import { nextMove } from "./playhead";
import type { Tracks } from "./wish";

const TICK_MS = 100;
const STARTING_MS = 1_500;
const BURST_QUIET_MS = 40; // a burst is over when nothing came for a frame
const BURST_MOST_MS = 400;
const STEP_S = 0.05; // before the end of a key frame, which reaches to where the next one is expected
const CONNECT_MOST_MS = 5_000; // a proxy that knows no WebSocket may keep the question without an answer

export class SocketPlayer implements PathPlayer {
  stalls = 0;
  jumps = 0;
  private readonly buffer: PictureBuffer;
  private arrival = new Arrival();
  private socket: WebSocket | null = null;
  private timer = 0;
  private ticker = 0;
  private failures = 0;
  private run = 0; // tells the answers of an older try from this one's
  private firstMediaAt = 0;
  private lastMediaAt = 0;
  private isPlaying = false;
  private startedAt = 0; // 0 until the playhead stands at the live edge

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly pictures: DisplayedPictures,
    private readonly tracks: Tracks,
    /** A new one-time address of the stream's WebSocket; throws what the page can show. */
    private readonly socketUrl: () => Promise<string>,
    private readonly ends: PlayerEnds,
  ) {
    this.buffer = new PictureBuffer(video, () => this.appended(), (reason) => this.broken(reason));
    video.addEventListener("waiting", this.onWaiting);
    video.addEventListener("error", this.onVideoError);
  }

  start(): void {
    this.stop();
    this.ticker = window.setInterval(() => this.tick(), TICK_MS);
    void this.connect();
  }

  stop(): void {
    this.disconnect();
    window.clearInterval(this.ticker);
    this.video.playbackRate = 1;
  }

  close(): void {
    this.stop();
    this.video.removeEventListener("waiting", this.onWaiting);
    this.video.removeEventListener("error", this.onVideoError);
    this.buffer.close(true);
  }

  get targetMs(): number {
    return Math.round(this.arrival.targetS(performance.now()) * 1000);
  }

  get bufferMs(): number {
    const live = this.buffer.ranges.at(-1);
    return live === undefined ? 0 : Math.round((live.endS - this.video.currentTime) * 1000);
  }

  private tell(phase: Phase): void {
    this.isPlaying = phase.name === "playing";
    this.ends.onPhase(phase);
  }

  private async connect(): Promise<void> {
    const run = ++this.run;
    this.pictures.hold();
    this.buffer.close(true); // a fresh source: after a hole tiles were seen to wait for ever on the old one
    this.tell({ name: "ticket" });
    try {
      const url = await this.socketUrl();
      if (run === this.run) this.open(url);
    } catch (error) {
      if (run === this.run) this.failed(error);
    }
  }

  private open(url: string): void {
    this.tell({ name: "connecting" });
    const socket = new WebSocket(url);
    socket.binaryType = "arraybuffer";
    socket.onmessage = (event: MessageEvent<string | ArrayBuffer>) => {
      if (typeof event.data === "string") this.told(parseMessage(event.data));
      else this.mediaCame(event.data);
    };
    socket.onclose = () => this.failed(new Error("connection_closed"));
    socket.onopen = () => window.clearTimeout(this.timer);
    this.timer = window.setTimeout(() => this.failed(new Error("connection_closed")), CONNECT_MOST_MS);
    this.socket = socket;
  }

  private disconnect(): void {
    this.run += 1;
    this.startedAt = 0;
    window.clearTimeout(this.timer);
    if (this.socket === null) return;
    this.socket.onopen = null;
    this.socket.onmessage = null;
    this.socket.onclose = null;
    this.socket.close();
    this.socket = null;
  }

  private broken(reason: string): void {
    this.buffer.close(true);
    this.failed(new Error(reason));
  }

  private failed(error: unknown): void {
    this.disconnect();
    const waitMs = backoffMs(this.failures++, Math.random());
    this.timer = window.setTimeout(() => void this.connect(), waitMs);
    this.tell({ name: "retrying", error, atMs: Date.now() + waitMs }); // last: whoever hears it may close this player
  }

  private told(message: Message | null): void {
    switch (message?.type) {
      case "tracks":
        return this.tracksCame(message.mime);
      case "gap":
        return this.ends.onGap(message);
      case "time":
        return this.pictures.tied(message.ptsS, message.capturedMs);
      case "ended":
        this.disconnect();
        return this.tell({ name: "ended" });
      default:
    }
  }

  private tracksCame(mime: string): void {
    const codecs = unplayableCodecs(mime);
    if (codecs.length > 0) {
      this.disconnect();
      return this.tell({ name: "unplayable", codecs });
    }
    this.arrival = new Arrival();
    this.startedAt = 0;
    this.firstMediaAt = 0;
    this.pictures.hold();
    this.buffer.prepare(mime);
    this.tell({ name: "first_picture" });
  }

  private mediaCame(bytes: ArrayBuffer): void {
    this.lastMediaAt = performance.now();
    this.firstMediaAt ||= this.lastMediaAt;
    this.buffer.append(bytes);
  }

  private appended(): void {
    const live = this.buffer.ranges.at(-1);
    if (live === undefined) return;
    const now = performance.now();
    this.arrival.arrived(now, live.endS, this.startedAt === 0 || now - this.startedAt < STARTING_MS);
    this.tick();
  }

  private tick(): void {
    const now = performance.now();
    const { ranges } = this.buffer;
    const live = ranges.at(-1);
    if (live === undefined || this.video.seeking) return;
    if (this.tracks === "key") return this.step(now, live.endS - STEP_S);
    if (this.startedAt === 0) {
      const isBurstOver = now - this.lastMediaAt > BURST_QUIET_MS || now - this.firstMediaAt > BURST_MOST_MS;
      if (isBurstOver) this.begin(now, Math.max(live.startS, live.endS - this.arrival.targetS(now)));
      return;
    }
    const move = nextMove({
      currentS: this.video.currentTime,
      ranges,
      edgeS: Math.min(this.arrival.edgeS(now) ?? live.endS, live.endS + 1),
      targetS: this.arrival.targetS(now),
      rate: this.video.playbackRate,
      isStarting: now - this.startedAt < STARTING_MS,
      isHeard: !this.video.muted,
    });
    if (move.kind === "jump") this.jump(move.toS);
    else if (move.rate !== this.video.playbackRate) this.video.playbackRate = move.rate;
    if (this.video.paused) this.play();
  }

  /** Key frames are not played but shown one after the other, each as soon as it is there. */
  private step(now: number, toS: number): void {
    this.startedAt ||= now;
    if (!this.video.paused) this.video.pause();
    if (Math.abs(this.video.currentTime - toS) > STEP_S) this.video.currentTime = toS;
  }

  private begin(now: number, atS: number): void {
    this.startedAt = now;
    this.video.currentTime = atS;
    this.play();
  }

  private jump(toS: number): void {
    this.jumps += 1;
    this.video.playbackRate = 1;
    this.video.currentTime = toS;
  }

  private play(): void {
    this.video.play().catch((error: unknown) => {
      // A browser that refuses sound before the first click plays without it.
      if (error instanceof DOMException && error.name === "NotAllowedError") this.video.muted = true;
    });
  }

  /** A picture reached the screen. */
  pictureShown(): void {
    if (this.startedAt === 0) return; // the last of the source before
    this.pictures.release();
    if (this.tracks === "key") this.pictures.copy(); // its next step is a seek
    if (this.isPlaying) return;
    this.failures = 0;
    this.tell({ name: "playing" });
  }

  private readonly onWaiting = (): void => {
    if (this.startedAt === 0 || this.video.seeking) return;
    this.stalls += 1;
    this.arrival.stalled(performance.now());
  };

  private readonly onVideoError = (): void => {
    if (this.video.error === null || this.socket === null) return;
    this.broken("media_refused");
  };
}
