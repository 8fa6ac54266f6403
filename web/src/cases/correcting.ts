// What rows of the timeline share about correcting words: which words are open in a box, and what the reader may do.

import { inject, type InjectionKey, type Ref } from "vue";

export interface Correcting {
  readonly caseId: string;
  readonly mayCorrect: () => boolean;
  readonly mayPlay: () => boolean;
  /** The words whose box is open, and what was typed; kept here, since a row that scrolls away is taken from the page. */
  readonly open: Ref<{ readonly eventId: string; readonly text: string } | null>;
  readonly sent: () => void;
  readonly expired: () => void;
}

export const CORRECTING: InjectionKey<Correcting> = Symbol("correcting");

/** null: nothing can be corrected where the rows are shown. */
export function useCorrecting(): Correcting | null {
  return inject(CORRECTING, null);
}

export type Draft = "empty" | "over" | "same" | "changed";

export const MOST = 2_000; // characters, as the server takes

/** What a typed text would say about words that count as `text` now. */
export function draftOf(typed: string, text: string): Draft {
  const said = typed.trim();
  if (said === "") return "empty";
  if ([...said].length > MOST) return "over";
  return said === text.trim() ? "same" : "changed";
}
