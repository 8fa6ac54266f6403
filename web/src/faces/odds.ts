// How often a stranger would look as alike, in words. A similarity is no probability; this is what people can weigh.

import { language, t } from "../texts/language";

/** Two digits at most, and rounded to where strangers are more often taken for the person, never less. */
export function roundedDown(oneIn: number): number {
  const step = 10 ** Math.max(0, Math.floor(Math.log10(oneIn)) - 1);
  return Math.floor(oneIn / step) * step;
}

/** `basis`: how the rate is known; of one that was only stated no number is told. */
export function oddsText(oneIn: unknown, basis: unknown): string {
  const isKnown = typeof oneIn === "number" && Number.isFinite(oneIn) && oneIn >= 1 && (basis === "measured" || basis === "fitted");
  if (!isKnown) return t("odds.unknown");
  return t("odds.oneIn", { n: new Intl.NumberFormat(language.value).format(roundedDown(oneIn)) });
}
