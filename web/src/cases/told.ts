// What went wrong on the pages of the cases, in the reader's words.

import { Problem } from "../api/problem";
import { t } from "../texts/language";
import { tellProblem, type Told } from "../texts/problems";

export function tellCaseProblem(error: unknown): Told {
  if (!(error instanceof Problem)) return tellProblem(error);
  if (error.status === 404) return { what: t("cases.unknown"), remedy: t("cases.unknownRemedy") };
  if (error.status === 403) return { what: t("cases.denied"), remedy: error.remedy || error.detail };
  return tellProblem(error);
}
