// One live stream in one tile: takes the best path that plays, says which, and looks for the way back.

import { DisplayedPictures } from "./displayedPictures";
import { HlsPlayer } from "./hlsPlayer";
import { PathChoice, type Path } from "./path";
import type { Gap, PathPlayer, Phase, PlayerEnds } from "./phase";
import { mediaSourceClass } from "./pictureBuffer";
import { SnapshotPlayer } from "./snapshotPlayer";
import { SocketPlayer } from "./socketPlayer";
import type { Tracks, Wish } from "./wish";

const WAY_BACK_MS = 60_000;
const PROBE_MOST_MS = 5_000;

/** What a tile lends its player. The addresses are new ones each time; asking throws what the page can show. */
export interface LiveSource {
  readonly video: HTMLVideoElement;
  readonly still: HTMLImageElement;
  /** Shows the last picture while another path or other tracks are on their way. */
  readonly held: HTMLCanvasElement;
  readonly socketUrl: (tracks: Tracks) => Promise<string>;
  readonly playlistUrl: () => Promise<string>;
  readonly snapshotUrl: string;
}

export interface LiveEnds extends PlayerEnds {
  readonly onPath: (path: Path, unplayableCodecs: readonly string[]) => void;
}

export class LivePlayer {
  readonly pictures: DisplayedPictures;
  private readonly choice = new PathChoice(mediaSourceClass() !== undefined);
  private player: PathPlayer & { pictureShown?: () => void };
  private wayBack = 0;

  constructor(
    private readonly source: LiveSource,
    private readonly ends: LiveEnds,
    private wish: Wish,
  ) {
    this.pictures = new DisplayedPictures(source.video, source.held, () => this.player.pictureShown?.());
    this.player = this.made();
  }

  start(): void {
    this.ends.onPath(this.choice.path, this.choice.unplayableCodecs);
    this.player.start();
    window.clearInterval(this.wayBack);
    this.wayBack = window.setInterval(() => void this.lookForWayBack(), WAY_BACK_MS);
  }

  /** What this tile asks for from now on; what plays goes over to it. */
  ask(wish: Wish): void {
    const before = this.wish;
    this.wish = wish;
    const { path } = this.choice;
    const isOther = path === "ws" ? wish.tracks !== before.tracks : path === "hls" && wish.isLowLatency !== before.isLowLatency;
    if (isOther) this.change();
  }

  /** Lets go of the stream; the last picture stays. */
  stop(): void {
    window.clearInterval(this.wayBack);
    this.wayBack = 0;
    this.player.stop();
    this.ends.onPhase({ name: "stopped" });
  }

  close(): void {
    this.stop();
    this.player.close();
    this.pictures.close();
    this.source.video.removeAttribute("src");
    this.source.video.load();
  }

  get stalls(): number {
    return this.player.stalls;
  }

  get jumps(): number {
    return this.player.jumps;
  }

  get targetMs(): number {
    return this.player.targetMs;
  }

  get bufferMs(): number {
    return this.player.bufferMs;
  }

  private made(): PathPlayer {
    const { video, still, socketUrl, playlistUrl, snapshotUrl } = this.source;
    const { path } = this.choice;
    const { tracks, isLowLatency } = this.wish;
    const ends: PlayerEnds = {
      onPhase: (phase: Phase) => this.told(phase, path),
      onGap: (gap: Gap) => this.ends.onGap(gap),
    };
    switch (path) {
      case "ws":
        return new SocketPlayer(video, this.pictures, tracks, () => socketUrl(tracks), ends);
      case "hls":
        return new HlsPlayer(video, this.pictures, isLowLatency, playlistUrl, ends);
      case "snapshot":
        return new SnapshotPlayer(still, snapshotUrl, ends, (capturedMs) => this.pictures.still(capturedMs));
    }
  }

  private told(phase: Phase, path: Path): void {
    if (path !== this.choice.path) return; // the last words of a player that was given up
    this.ends.onPhase(phase);
    if (this.choice.told(phase) !== path) this.change();
  }

  private change(): void {
    this.player.close();
    this.player = this.made();
    if (this.wayBack === 0) return; // stopped: the next start takes it
    this.ends.onPath(this.choice.path, this.choice.unplayableCodecs);
    this.player.start();
  }

  private async lookForWayBack(): Promise<void> {
    if (!this.choice.isWayBackOpen) return;
    const { player } = this;
    const isOpen = await this.source.socketUrl("key").then(doesSocketSpeak).catch(() => false);
    if (!isOpen || player !== this.player || this.wayBack === 0) return;
    this.choice.take("ws");
    this.change();
  }
}

/** Whether a WebSocket to `url` opens and says something; what plays meanwhile goes on. */
function doesSocketSpeak(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = new WebSocket(url);
    const answered = (isOpen: boolean): void => {
      window.clearTimeout(limit);
      resolve(isOpen);
      socket.close();
    };
    const limit = window.setTimeout(() => answered(false), PROBE_MOST_MS);
    socket.onmessage = () => answered(true);
    socket.onclose = () => answered(false);
  });
}
