// The pictures that really reached the screen: how many, the last one's time, and how old it was then.

interface Tie {
  readonly ptsS: number;
  readonly capturedMs: number;
}

export class DisplayedPictures {
  count = 0;
  lastAt = 0;
  private lastMediaS = 0;
  private lastShownMs = 0;
  private tie: Tie | null = null;
  private callback = 0;
  private readonly isCounted: boolean;

  constructor(
    private readonly video: HTMLVideoElement,
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
    this.lastAt = performance.now();
    this.onPicture();
  }
}
