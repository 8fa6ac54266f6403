// Until when, as a form holds it: the reader's own clock, to the minute.

/** The moment of a `datetime-local` field for the server; null: none, or no time of any day. */
export function isoOf(typed: string): string | null {
  const at = new Date(typed);
  return typed === "" || Number.isNaN(at.getTime()) ? null : at.toISOString();
}

/** A moment as such a field shows it. */
export function typedOf(at: Date): string {
  const local = new Date(at.getTime() - at.getTimezoneOffset() * 60_000);
  return local.toISOString().slice(0, 16);
}

/** In a minute: what is over already is no expiry. */
export const soonest = (): string => typedOf(new Date(Date.now() + 60_000));
