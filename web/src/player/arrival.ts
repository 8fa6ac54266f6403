// When media arrives: its live edge, and how late the latest comer was. Plain arithmetic; time is passed in.

const WINDOW_MS = 10_000;
const BUCKET_MS = 1_000;
const INTERRUPTION_S = 1.5; // later than this is an outage, not jitter: no buffer should grow for it
const MARGIN_S = 0.06; // a frame and a half at 25 fps, for the decoder
const LEAST_S = 0.15;
const UNMEASURED_S = 0.3; // until the first second has shown how evenly media comes
const MOST_S = 0.6; // more than this only hides a network that needs repair
const STALL_S = 0.05; // what one stall adds to the target
const STALL_MOST_S = 0.3;
const STALL_HALF_LIFE_MS = 20_000;

interface Bucket {
  readonly at: number;
  offsetS: number; // the most media ahead of the clock: the ideal edge
  latenessS: number; // the most the buffer's end fell behind that edge
}

export class Arrival {
  private buckets: Bucket[] = [];
  private lastEndS: number | null = null;
  private isMeasured = false;
  private stallS = 0;
  private stallAt = 0;

  /** The buffer now ends at `endS`. `isBurst`: it came all at once, so it says nothing about jitter. */
  arrived(nowMs: number, endS: number, isBurst: boolean): void {
    const bucket = this.bucketAt(nowMs);
    bucket.offsetS = Math.max(bucket.offsetS, endS - nowMs / 1000);
    const edgeS = this.edgeS(nowMs);
    if (!isBurst && this.lastEndS !== null && edgeS !== null) {
      const latenessS = edgeS - this.lastEndS;
      this.isMeasured = true;
      if (latenessS < INTERRUPTION_S) bucket.latenessS = Math.max(bucket.latenessS, latenessS);
    }
    this.lastEndS = endS;
  }

  /** Playback ran dry at `nowMs`. */
  stalled(nowMs: number): void {
    this.stallS = Math.min(STALL_MOST_S, this.stallReserveS(nowMs) + STALL_S);
    this.stallAt = nowMs;
  }

  /** Where the stream would be now if nothing came late, in stream seconds; null before the first media. */
  edgeS(nowMs: number): number | null {
    const kept = this.buckets.filter((bucket) => bucket.at > nowMs - WINDOW_MS);
    const buckets = kept.length > 0 ? kept : this.buckets.slice(-1);
    if (buckets.length === 0) return null;
    return nowMs / 1000 + Math.max(...buckets.map((bucket) => bucket.offsetS));
  }

  /** How far behind the live edge playback should stay: the smallest distance that seldom runs dry. */
  targetS(nowMs: number): number {
    // The second-worst second: one hiccup must not hold everybody back for ten seconds.
    const latenessS = this.buckets.map((bucket) => bucket.latenessS).sort((a, b) => b - a)[1] ?? 0;
    const neededS = this.isMeasured ? Math.max(LEAST_S, latenessS + MARGIN_S) : UNMEASURED_S;
    return Math.min(MOST_S, neededS) + this.stallReserveS(nowMs);
  }

  private stallReserveS(nowMs: number): number {
    return this.stallS * 0.5 ** ((nowMs - this.stallAt) / STALL_HALF_LIFE_MS);
  }

  private bucketAt(nowMs: number): Bucket {
    const at = Math.floor(nowMs / BUCKET_MS) * BUCKET_MS;
    const last = this.buckets.at(-1);
    if (last !== undefined && last.at === at) return last;
    const fresh = { at, offsetS: -Infinity, latenessS: 0 };
    this.buckets = [...this.buckets.filter((bucket) => bucket.at > nowMs - WINDOW_MS), fresh];
    return fresh;
  }
}
