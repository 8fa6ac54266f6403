// What the person wants small tiles to show; kept for the next visit.

import { ref, watch, type Ref } from "vue";
import { TRACKS_CHOICES, type TracksChoice } from "../player/wish";

const STORED = "onrecord.tracks";

export function useTracksChoice(): Ref<TracksChoice> {
  const stored = localStorage.getItem(STORED);
  const choice = ref<TracksChoice>(TRACKS_CHOICES.find((each) => each === stored) ?? "auto");
  watch(choice, (chosen) => localStorage.setItem(STORED, chosen));
  return choice;
}
