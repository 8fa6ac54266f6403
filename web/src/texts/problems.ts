// A failure as two sentences in the reader's language: what happened, and what helps.

import { Problem } from "../api/problem";
import { isTextKey, t } from "./language";

export interface Told {
  readonly what: string;
  readonly remedy: string;
}

export function tellProblem(error: unknown): Told {
  if (!(error instanceof Problem)) {
    const key = `play.${error instanceof Error ? error.message : ""}`;
    return { what: isTextKey(key) ? t(key) : t("problem.other", { status: "" }), remedy: "" };
  }
  if (error.status === 0) return { what: t("problem.unreachable"), remedy: t("problem.unreachableRemedy") };
  const key = `problem.${error.status}`;
  const what = isTextKey(key) ? t(key) : error.title || t("problem.other", { status: error.status });
  return { what, remedy: error.remedy || error.detail };
}
