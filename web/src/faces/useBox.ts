// One box of a page that is open to write in; when it is left, the focus goes back to the button that opened it.

import { nextTick, ref } from "vue";

export function useBox() {
  const open = ref(""); // what it is for; "": none
  let opener = "";

  function show(what: string, event: Event): void {
    opener = event.currentTarget instanceof HTMLElement ? event.currentTarget.id : "";
    open.value = what;
  }

  /** `isDone`: what was written is done, and its button may be gone. */
  function shut(isDone = false): void {
    open.value = "";
    if (!isDone) void nextTick(() => document.getElementById(opener)?.focus());
  }

  return { open, show, shut };
}
