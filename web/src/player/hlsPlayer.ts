// A live stream by LL-HLS in a video element, through hls.js, which is loaded only when it is needed.

import type Hls from "hls.js/light";
import type { HlsConfig, LoaderCallbacks, LoaderConfiguration, LoaderContext } from "hls.js";
import { unreachable } from "../api/problem";
import { backoffMs } from "./backoff";
import type { DisplayedPictures } from "./displayedPictures";
import type { PathPlayer, Phase, PlayerEnds } from "./phase";

const TICK_MS = 250;
const KEEP_S = 5;
const BEHIND_S = 1; // behind the distance the playlist asks for (PART-HOLD-BACK): jump rather than hurry
const FASTEST = 1.1;
const PLAIN_TARGET_S = 6; // whole segments of 2 s, the playlist asked for every 2 s, and as much in reserve
const PLAIN_BEHIND_S = 4;
const STALL_S = 0.1; // what one stall adds to that distance

export class HlsPlayer implements PathPlayer {
  stalls = 0;
  jumps = 0;
  private hls: Hls | null = null;
  private timer = 0;
  private ticker = 0;
  private failures = 0;
  private run = 0; // tells the answers of an older try from this one's
  private isPlaying = false;

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly pictures: DisplayedPictures,
    /** By parts, with a question always waiting at the server; else by whole segments, seconds later. */
    private readonly isLowLatency: boolean,
    /** A new address of the stream's playlist; throws what the page can show. */
    private readonly playlistUrl: () => Promise<string>,
    private readonly ends: PlayerEnds,
  ) {}

  start(): void {
    this.stop();
    this.video.addEventListener("waiting", this.onWaiting);
    this.video.addEventListener("ended", this.onEnded);
    this.ticker = window.setInterval(() => this.tick(), TICK_MS);
    void this.connect();
  }

  stop(): void {
    this.disconnect();
    window.clearInterval(this.ticker);
    this.video.removeEventListener("waiting", this.onWaiting);
    this.video.removeEventListener("ended", this.onEnded);
    this.video.playbackRate = 1;
  }

  close(): void {
    this.stop();
  }

  get targetMs(): number {
    return Math.round((this.hls?.targetLatency ?? 0) * 1000);
  }

  get bufferMs(): number {
    const { buffered, currentTime } = this.video;
    return buffered.length === 0 ? 0 : Math.round((buffered.end(buffered.length - 1) - currentTime) * 1000);
  }

  /** A picture reached the screen. */
  pictureShown(): void {
    if (this.hls === null || this.video.currentTime === 0) return;
    this.pictures.release();
    if (this.isPlaying) return;
    this.failures = 0;
    this.tell({ name: "playing" });
  }

  private tell(phase: Phase): void {
    this.isPlaying = phase.name === "playing";
    this.ends.onPhase(phase);
  }

  private async connect(): Promise<void> {
    const run = ++this.run;
    this.tell({ name: "ticket" });
    try {
      const url = await this.playlistUrl();
      const { default: HlsLight } = await import("hls.js/light").catch(() => Promise.reject(unreachable()));
      if (run === this.run) this.open(HlsLight, url);
    } catch (error) {
      if (run === this.run) this.failed(error);
    }
  }

  private open(HlsLight: typeof Hls, url: string): void {
    if (!HlsLight.isSupported()) return this.failed(new Error("no_media_source"));
    this.tell({ name: "connecting" });
    const hls = new HlsLight({
      ...(this.isLowLatency ? { lowLatencyMode: true } : { lowLatencyMode: false, liveSyncDuration: PLAIN_TARGET_S, loader: notBlocking(HlsLight) }),
      enableWorker: false, // the page's policy allows no worker from a blob, and fragmented MP4 needs no remuxing
      maxLiveSyncPlaybackRate: FASTEST,
      liveSyncOnStallIncrease: STALL_S,
      backBufferLength: KEEP_S,
      maxBufferLength: this.isLowLatency ? KEEP_S : 2 * PLAIN_TARGET_S,
    });
    hls.on(HlsLight.Events.MANIFEST_PARSED, () => this.tell({ name: "first_picture" }));
    hls.on(HlsLight.Events.ERROR, (_event, { fatal, type }) => {
      if (fatal) this.failed(new Error(type === HlsLight.ErrorTypes.MEDIA_ERROR ? "media_refused" : "connection_closed"));
    });
    this.pictures.hold();
    hls.loadSource(url);
    hls.attachMedia(this.video);
    this.hls = hls;
  }

  private disconnect(): void {
    this.run += 1;
    window.clearTimeout(this.timer);
    this.hls?.destroy();
    this.hls = null;
  }

  private failed(error: unknown): void {
    this.disconnect();
    const waitMs = backoffMs(this.failures++, Math.random());
    this.timer = window.setTimeout(() => void this.connect(), waitMs);
    this.tell({ name: "retrying", error, atMs: Date.now() + waitMs }); // last: whoever hears it may close this player
  }

  private tick(): void {
    if (this.hls === null || this.video.readyState < HTMLMediaElement.HAVE_METADATA) return;
    const { playingDate, latency, targetLatency, liveSyncPosition } = this.hls;
    if (playingDate !== null) this.pictures.tied(this.video.currentTime, playingDate.getTime());
    if (this.video.paused && !this.video.ended) this.play();
    if (liveSyncPosition === null || targetLatency === null || this.video.seeking) return;
    const behindS = this.isLowLatency ? BEHIND_S : PLAIN_BEHIND_S;
    if (latency - targetLatency > behindS && liveSyncPosition > this.video.currentTime) this.jump(liveSyncPosition);
  }

  private jump(toS: number): void {
    this.jumps += 1;
    this.video.currentTime = toS;
  }

  private play(): void {
    this.video.play().catch((error: unknown) => {
      // A browser that refuses sound before the first click plays without it.
      if (error instanceof DOMException && error.name === "NotAllowedError") this.video.muted = true;
    });
  }

  private readonly onWaiting = (): void => {
    if (this.isPlaying && !this.video.seeking) this.stalls += 1;
  };

  private readonly onEnded = (): void => {
    this.disconnect();
    this.tell({ name: "ended" });
  };
}

/** Playlists without the promise that the server can wait: hls.js would use it with and without low latency. */
function notBlocking(HlsLight: typeof Hls): HlsConfig["loader"] {
  return class extends HlsLight.DefaultConfig.loader {
    override load(context: LoaderContext, config: LoaderConfiguration, callbacks: LoaderCallbacks<LoaderContext>): void {
      const onSuccess: typeof callbacks.onSuccess = (response, ...rest) => {
        if (typeof response.data === "string") response.data = response.data.replace("CAN-BLOCK-RELOAD=YES,", "");
        callbacks.onSuccess(response, ...rest);
      };
      super.load(context, config, { ...callbacks, onSuccess });
    }
  };
}
