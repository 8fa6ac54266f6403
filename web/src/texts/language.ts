// The language of the page: the browser's at first, then the one chosen in the header.

import { ref, watchEffect } from "vue";
import { en } from "./en";
import { zh } from "./zh";

export type TextKey = keyof typeof zh;
export type Language = "zh-CN" | "en";

const TEXTS: Record<Language, Record<TextKey, string>> = { "zh-CN": zh, en };
const STORED = "onrecord.language";

function firstLanguage(): Language {
  const stored = localStorage.getItem(STORED);
  if (stored === "zh-CN" || stored === "en") return stored;
  return navigator.language.toLowerCase().startsWith("en") ? "en" : "zh-CN";
}

export const language = ref<Language>(firstLanguage());

watchEffect(() => {
  document.documentElement.lang = language.value;
  document.title = t("app.title");
});

export function switchLanguage(): void {
  language.value = language.value === "en" ? "zh-CN" : "en";
  localStorage.setItem(STORED, language.value);
}

export function t(key: TextKey, values: Readonly<Record<string, string | number>> = {}): string {
  return fill(TEXTS[language.value][key], values);
}

export function isTextKey(key: string): key is TextKey {
  return key in zh;
}

export function timeOfDay(at: Date): string {
  return new Intl.DateTimeFormat(language.value, { timeStyle: "medium", hour12: false }).format(at);
}

/** `timed`: the date beside its time of day. */
export function dateOf(at: Date, timed = false): string {
  const parts: Intl.DateTimeFormatOptions = { dateStyle: timed ? "medium" : "full" };
  return new Intl.DateTimeFormat(language.value, timed ? { ...parts, timeStyle: "short", hour12: false } : parts).format(at);
}

/** `{name}` in a text becomes its value. */
export function fill(text: string, values: Readonly<Record<string, string | number>>): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}
