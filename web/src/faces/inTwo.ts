// What the server tells in both languages, in that of the reader.

import { visible } from "../cases/visible";
import { language } from "../texts/language";

export const inTwo = (zh: string, en: string): string => visible(language.value === "en" ? en : zh);
