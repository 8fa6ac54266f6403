// The server's clock as seen from here. Plain arithmetic; time is passed in.

const WINDOW_MS = 60_000; // clocks drift: a minute-old sample, however good, is dropped

interface Sample {
  readonly at: number;
  readonly offsetMs: number;
  readonly roundTripMs: number;
}

export class ServerClock {
  private samples: Sample[] = [];

  /** An answer that left the server at `serverMs`, asked at `askedMs` and heard at `heardMs`. */
  sampled(askedMs: number, serverMs: number, heardMs: number): void {
    const sample = { at: heardMs, offsetMs: serverMs - (askedMs + heardMs) / 2, roundTripMs: heardMs - askedMs };
    this.samples = [...this.samples.filter(({ at }) => at > heardMs - WINDOW_MS), sample];
  }

  /** Server time minus browser time, from the quickest round trip of the last minute; 0 before the first. */
  get offsetMs(): number {
    let best: Sample | null = null;
    for (const sample of this.samples) if (best === null || sample.roundTripMs < best.roundTripMs) best = sample;
    return best?.offsetMs ?? 0;
  }
}
