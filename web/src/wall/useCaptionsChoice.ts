// Whether the person wants captions; kept for the next visit.

import { ref, watch, type Ref } from "vue";

const STORED = "onrecord.captions";

export function useCaptionsChoice(): Ref<boolean> {
  const isOn = ref(localStorage.getItem(STORED) !== "off");
  watch(isOn, (chosen) => localStorage.setItem(STORED, chosen ? "on" : "off"));
  return isOn;
}
