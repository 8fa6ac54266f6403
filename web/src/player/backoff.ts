// How long to wait before the next try. Plain arithmetic; chance is passed in.

const FIRST_MS = 500;
const MOST_MS = 15_000;

/** Doubles with each failure; between half and all of it, so that a room full of walls does not come back at once. */
export function backoffMs(failures: number, chance: number): number {
  const fullMs = Math.min(MOST_MS, FIRST_MS * 2 ** failures);
  return fullMs * (0.5 + chance / 2);
}
