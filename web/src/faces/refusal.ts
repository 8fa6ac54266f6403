// Why a picture or a moment was not taken in, or a template not made anew, in the reader's words.

import { Problem } from "../api/problem";
import { visible } from "../cases/visible";
import { isTextKey, t } from "../texts/language";

/** `sent`: how many pictures. "" where the server gave no code: then what it says stands for itself. */
export function refusalOf(error: unknown, sent: number): string {
  if (!(error instanceof Problem)) return "";
  const { reason: code, index } = error.more;
  if (typeof code !== "string" || code === "") return "";
  const key = `faceRefusal.${code}`;
  const reason = isTextKey(key) ? t(key) : visible(error.detail || code);
  return typeof index === "number" && sent > 1 ? t("persons.refusedPicture", { n: index + 1, reason }) : reason;
}

/** Why a template could not be made anew with another model. */
export function renewRefusalOf(reason: string, detail: string): string {
  for (const key of [`renewRefusal.${reason}`, `faceRefusal.${reason}`]) if (isTextKey(key)) return t(key);
  return visible(detail || reason);
}
