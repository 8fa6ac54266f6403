// Text as it stands: signs that hide, or turn the reading order around, are written out. Plain text work.

// Controls but tab and line feed, soft hyphen, marks of direction, zero-width signs, byte-order mark, tags.
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]|[\ud800-\udfff]/gu;

/** `text` with each unseen sign as ⟨U+202E⟩, so that nobody reads another name or note than was written. */
export function visible(text: string): string {
  return text.replace(/\r\n/g, "\n").replace(UNSEEN, (sign) => `⟨U+${(sign.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}⟩`);
}
