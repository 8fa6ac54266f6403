// The pictures that really reached the screen: how many, the last one's time, how old it was then; and the last one
// itself, while the next path is on its way.

interface Tie {
  readonly ptsS: number;
  readonly capturedMs: number;
}

export class DisplayedPictures {
  count = 0;
  lastAt = 0;
  everyMs = 0; // between the last two
  private copied = 0; // the count of the picture that was copied
  private lastMediaS = 0;
  private lastShownMs = 0;
  private tie: Tie | null = null;
  private callback = 0;
  private readonly isCounted: boolean;

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly held: HTMLCanvasElement,
    private readonly onPicture: () => void,
  ) {
    this.isCounted = "requestVideoFrameCallback" in video;
    if (this.isCounted) this.callback = video.requestVideoFrameCallback(this.shown);
    else video.addEventListener("timeupdate", this.onTimeUpdate);
  }

  /** Media time `ptsS` reached the server at `capturedMs`, in the server's time. */
  tied(ptsS: number, capturedMs: number): void {
    this.tie = { ptsS, capturedMs };
  }

  /** A still taken at `capturedMs`, in the server's time, is on the screen. */
  still(capturedMs: number): void {
    this.tied(0, capturedMs);
    this.record(this.count + 1, 0, Date.now());
    this.release();
  }

  /** The picture on the screen stays there until it is released, whatever becomes of the video's source. */
  hold(): void {
    this.copy();
    if (this.copied === this.count && this.count > 0) this.held.hidden = false;
  }

  /** Keeps the picture on the screen for a `hold` at a moment when the video has none: while it seeks. */
  copy(): void {
    const { video, held } = this;
    if (video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA) return;
    held.width = video.videoWidth;
    held.height = video.videoHeight;
    held.getContext("2d")?.drawImage(video, 0, 0);
    this.copied = this.count;
  }

  /** A picture of the present source is on the screen. */
  release(): void {
    this.held.hidden = true;
  }

  /** How old the last picture was when it was shown; null before the first tie or picture. */
  latencyMs(serverOffsetMs: number): number | null {
    if (this.tie === null || this.count === 0 || Number.isNaN(this.tie.capturedMs)) return null;
    return this.lastShownMs + serverOffsetMs - (this.tie.capturedMs + (this.lastMediaS - this.tie.ptsS) * 1000);
  }

  close(): void {
    if (this.isCounted) this.video.cancelVideoFrameCallback(this.callback);
    this.video.removeEventListener("timeupdate", this.onTimeUpdate);
  }

  private readonly shown = (_now: number, frame: VideoFrameCallbackMetadata): void => {
    this.record(frame.presentedFrames, frame.mediaTime, Date.now() + frame.expectedDisplayTime - performance.now());
    this.callback = this.video.requestVideoFrameCallback(this.shown);
  };

  private readonly onTimeUpdate = (): void => {
    if (this.video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA) this.record(this.count + 1, this.video.currentTime, Date.now());
  };

  private record(count: number, mediaS: number, shownMs: number): void {
    this.count = count;
    this.lastMediaS = mediaS;
    this.lastShownMs = shownMs;
    const now = performance.now();
    if (this.lastAt > 0) this.everyMs = now - this.lastAt;
    this.lastAt = now;
    this.onPicture();
  }
}
