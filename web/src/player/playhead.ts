// Where the playhead should go next: hold at a rate, or jump. Plain arithmetic on what the buffer holds.

export interface Range {
  readonly startS: number;
  readonly endS: number;
}

export interface Playhead {
  readonly currentS: number;
  readonly ranges: readonly Range[];
  /** The ideal live edge; the buffer's end where nothing better is known. */
  readonly edgeS: number;
  readonly targetS: number;
  readonly rate: number;
  /** The first moments: being behind is put right by a jump, since nobody has watched yet. */
  readonly isStarting: boolean;
  /** Someone listens: changes of rate must not be heard. */
  readonly isHeard: boolean;
}

export type Move =
  | { readonly kind: "hold"; readonly rate: number }
  | { readonly kind: "jump"; readonly toS: number; readonly reason: "outside" | "hole" | "behind" };

const FUDGE_S = 0.05; // browsers play over holes this small by themselves
const BEHIND_S = 2;
const BEHIND_HEARD_S = 1.5; // at 1.08 this would take twenty seconds: a cut in the sound is the smaller harm
const BEHIND_STARTING_S = 0.3;
const FAR_S = 0.5; // behind the live edge: guidance in real time fails, so hurry as far as pictures still read well
const FASTEST_FAR = 1.25;
const FASTEST_NEAR = 1.1;
const FASTEST_HEARD = 1.08; // speech keeps its pitch and nobody notices
const SLOWEST = 0.96; // a device's clock may run slow; without this the reserve would never grow back
const RATE_STEP = 0.02; // fewer changes of rate: each one disturbs the audio renderer
const START_CATCHING_S = 0.06;
const STOP_CATCHING_S = 0.015;

export function nextMove(head: Playhead): Move {
  const live = head.ranges.at(-1);
  if (live === undefined) return { kind: "hold", rate: 1 };
  const toS = Math.max(live.startS, live.endS - head.targetS);
  const here = head.ranges.find(({ startS, endS }) => head.currentS >= startS - FUDGE_S && head.currentS <= endS);
  const nextRange = head.ranges.find(({ startS }) => startS > head.currentS);
  if (here === undefined) {
    if (nextRange !== undefined) return { kind: "jump", toS, reason: "outside" };
    // Past the end: a little is a stall that ends by itself, much is a stream whose time began anew.
    if (head.currentS - live.endS > BEHIND_S) return { kind: "jump", toS, reason: "outside" };
    return { kind: "hold", rate: 1 };
  }
  if (here !== live && here.endS - head.currentS < FUDGE_S) return { kind: "jump", toS, reason: "hole" };
  const behindS = live.endS - head.currentS - head.targetS;
  const patienceS = head.isStarting ? BEHIND_STARTING_S : head.isHeard ? BEHIND_HEARD_S : BEHIND_S;
  if (behindS > patienceS) return { kind: "jump", toS, reason: "behind" };
  return { kind: "hold", rate: nextRate(head) };
}

function nextRate(head: Playhead): number {
  const { rate } = head;
  const errorS = head.edgeS - head.currentS - head.targetS;
  const isCatching = rate > 1 ? errorS > STOP_CATCHING_S : errorS > START_CATCHING_S;
  const isWaiting = rate < 1 ? errorS < -STOP_CATCHING_S : errorS < -START_CATCHING_S;
  if (!isCatching && !isWaiting) return 1;
  // The rest is made up in half a second, or in three where changes of rate may be heard.
  const wanted = 1 + errorS / (head.isHeard || isWaiting ? 3 : 0.5);
  const step = Math.sign(errorS) * RATE_STEP;
  const stepped = Math.abs(wanted - 1) < RATE_STEP ? 1 + step : Math.round(wanted / RATE_STEP) * RATE_STEP;
  return Math.min(fastest(head), Math.max(SLOWEST, stepped));
}

function fastest({ isHeard, edgeS, currentS, targetS, rate }: Playhead): number {
  if (isHeard) return FASTEST_HEARD;
  const errorS = edgeS - currentS - targetS;
  // Far is measured from the edge, but no target, however long, is hurried towards until it is overrun.
  return edgeS - currentS > FAR_S && errorS > (rate > FASTEST_NEAR ? 0.1 : 0.2) ? FASTEST_FAR : FASTEST_NEAR;
}

/** What of the past may go: from the buffer's start to here; null where it is not worth the work. */
export function trimEndS(ranges: readonly Range[], currentS: number, keepS: number): number | null {
  const first = ranges[0];
  if (first === undefined || currentS - first.startS < keepS * 2) return null;
  return currentS - keepS;
}
