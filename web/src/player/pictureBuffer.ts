// One MediaSource behind one video element: appends in order, forgets the past, tells when it breaks.

import { changeOfTracks, codecName, codecsOf } from "./message";
import { trimEndS, type Range } from "./playhead";

const KEEP_S = 5;
const QUEUE_MOST_BYTES = 32 * 1024 * 1024; // a browser that takes no more than this is stuck: start anew

declare global {
  interface Window {
    ManagedMediaSource?: typeof MediaSource;
  }
}

export function mediaSourceClass(): typeof MediaSource | undefined {
  return window.MediaSource ?? window.ManagedMediaSource;
}

/** The names of the codecs of `mime` that this browser cannot play; empty where it can. */
export function unplayableCodecs(mime: string): string[] {
  const Source = mediaSourceClass();
  if (Source?.isTypeSupported(mime) === true) return [];
  const codecs = codecsOf(mime);
  const alone = codecs.filter((codec) => Source?.isTypeSupported(`video/mp4; codecs="${codec}"`) !== true);
  return (alone.length > 0 ? alone : codecs).map(codecName);
}

export class PictureBuffer {
  private source: MediaSource | null = null;
  private buffer: SourceBuffer | null = null;
  private mime = "";
  private queue: ArrayBuffer[] = [];
  private queuedBytes = 0;
  private url = "";

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly onAppended: (isQueueEmpty: boolean) => void,
    private readonly onBroken: (reason: string) => void,
  ) {}

  /** Makes ready for media of `mime`; keeps what plays where the browser can go on with it. */
  prepare(mime: string): void {
    const change = this.source === null ? "rebuild" : changeOfTracks(this.mime, mime);
    this.mime = mime;
    if (change === "rebuild") this.rebuild();
    else if (change === "change_type") this.changeType(mime);
  }

  append(bytes: ArrayBuffer): void {
    this.queue.push(bytes);
    this.queuedBytes += bytes.byteLength;
    if (this.queuedBytes > QUEUE_MOST_BYTES) this.onBroken("buffer_full");
    else this.pump();
  }

  get ranges(): Range[] {
    if (this.buffer === null || this.source?.readyState !== "open") return [];
    const { buffered } = this.buffer;
    return Array.from({ length: buffered.length }, (_, i) => ({ startS: buffered.start(i), endS: buffered.end(i) }));
  }

  /** Lets go of the media. `isPictureKept`: the last picture stays on the screen. */
  close(isPictureKept: boolean): void {
    this.queue = [];
    this.queuedBytes = 0;
    this.source = null;
    this.buffer = null;
    if (this.url !== "") URL.revokeObjectURL(this.url);
    this.url = "";
    if (isPictureKept) return;
    this.video.removeAttribute("src");
    this.video.load();
  }

  private rebuild(): void {
    const Source = mediaSourceClass();
    if (Source === undefined) return this.onBroken("no_media_source");
    this.close(true);
    const source = new Source();
    this.source = source;
    this.video.disableRemotePlayback = true; // Safari's ManagedMediaSource opens only then
    this.url = URL.createObjectURL(source);
    source.addEventListener("sourceopen", () => this.opened(source), { once: true });
    this.video.src = this.url;
  }

  private opened(source: MediaSource): void {
    if (source !== this.source) return;
    source.duration = Infinity;
    const buffer = source.addSourceBuffer(this.mime);
    buffer.addEventListener("updateend", () => {
      if (buffer !== this.buffer) return;
      this.trim();
      this.pump();
      this.onAppended(this.queue.length === 0);
    });
    buffer.addEventListener("error", () => {
      if (buffer === this.buffer) this.onBroken("media_refused");
    });
    this.buffer = buffer;
    this.pump();
  }

  private changeType(mime: string): void {
    // Queued media of the old tracks would follow the new type: a rebuild loses it, which is less than a broken player.
    if (this.buffer === null || this.buffer.updating || this.queue.length > 0) this.rebuild();
    else this.buffer.changeType(mime);
  }

  private trim(): void {
    const endS = trimEndS(this.ranges, this.video.currentTime, KEEP_S);
    if (endS !== null && this.buffer?.updating === false) this.buffer.remove(0, endS);
  }

  private pump(): void {
    const next = this.queue[0];
    if (next === undefined || this.buffer === null || this.buffer.updating) return;
    try {
      this.buffer.appendBuffer(next);
    } catch (error) {
      return this.refused(error);
    }
    this.queue.shift();
    this.queuedBytes -= next.byteLength;
  }

  private refused(error: unknown): void {
    const isFull = error instanceof DOMException && error.name === "QuotaExceededError";
    const start = this.ranges[0];
    const behindS = this.video.currentTime - 1;
    if (isFull && this.buffer !== null && start !== undefined && behindS > start.startS) this.buffer.remove(0, behindS);
    else this.onBroken(isFull ? "buffer_full" : "media_refused");
  }
}
