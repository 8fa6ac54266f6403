// What a person may hold: a one-time link, its code, or a token. Plain text work.

/** The one-time code of a link's fragment; null without one. */
export function codeOf(fragment: string): string | null {
  const code = new URLSearchParams(fragment.replace(/^#/, "")).get("code");
  return code === "" ? null : code;
}

/** A pasted link gives its code; anything else is taken for a token. Null for blank. */
export function credentialOf(pasted: string): { code: string } | { token: string } | null {
  const text = pasted.trim();
  if (text === "") return null;
  const hash = text.indexOf("#");
  const code = hash >= 0 ? codeOf(text.slice(hash)) : text.startsWith("code=") ? codeOf(text) : null;
  return code === null ? { token: text } : { code };
}
