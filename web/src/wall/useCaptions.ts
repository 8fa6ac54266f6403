// What is said and noticed on the wall, while someone looks: one connection, its lines and findings, and what must be said of it.

import { computed, onBeforeUnmount, onMounted, ref, shallowRef, watch, type Ref } from "vue";
import { captionTail, hearCaptions, type AnalysisState, type Caption } from "../api/captions";
import { followTail, type TailState } from "../api/tail";
import { FindingBoard } from "../findings/findingBoard";
import { CaptionBoard } from "./captionBoard";
import { findingNotesOf, notesOf } from "./captionNotes";

const HIDDEN_MOST_MS = 10_000; // a tab looked away from for longer lets its connection go: a browser has six for all tabs
const BROKEN_TOLD_MS = 2_000; // shorter breaks say nothing: words that flash only unsettle

/** `isWanted`: captions are shown. Findings are heard of in any case. */
export function useCaptions(isWanted: Ref<boolean>) {
  const board = new CaptionBoard();
  const findings = new FindingBoard();
  const analysis = shallowRef<AnalysisState | null>(null);
  const isBroken = ref(false);
  const isOffered = ref(true); // false: this server has none
  const timers = new Map<"sweep" | "broken" | "hidden", number>();
  let following: AbortController | null = null;

  function later(name: "sweep" | "broken" | "hidden", delayMs: number, act: () => void): void {
    window.clearTimeout(timers.get(name));
    timers.set(name, window.setTimeout(() => (timers.delete(name), act()), delayMs));
  }

  function forget(name: "broken" | "hidden"): void {
    window.clearTimeout(timers.get(name));
    timers.delete(name);
  }

  function sweepInTime(): void {
    const endMs = board.nextEndMs();
    if (endMs === null || timers.has("sweep")) return;
    later("sweep", Math.max(0, endMs - Date.now()), () => {
      board.sweep(Date.now());
      sweepInTime();
    });
  }

  function onCaption(caption: Caption): void {
    if (!isWanted.value) return;
    board.take(caption, Date.now());
    sweepInTime();
  }

  function tellBroken(): void {
    isBroken.value = true;
    board.broken();
  }

  function onState(state: TailState): void {
    isOffered.value = state !== "refused";
    if (state === "live" || state === "refused") {
      forget("broken");
      isBroken.value = false;
    }
    if (state !== "reconnecting") return;
    if (!timers.has("broken")) later("broken", BROKEN_TOLD_MS, tellBroken);
  }

  function start(): void {
    if (following !== null) return;
    following = new AbortController();
    const { signal } = following;
    const isMine = (act: () => void): void => (signal.aborted ? undefined : act());
    void followTail(captionTail(), {
      onState: (state) => isMine(() => onState(state)),
      onMessage: (message) => isMine(() => hearCaptions(message, { onCaption, onAnalysis: (state) => (analysis.value = state), onFindings: (open) => findings.take(open) })),
      onFresh: () => undefined, // it is all of now: what was missed is on the timeline
      onRefused: () => undefined, // the wall asks for the streams anyway and hears of an ended session there
    }, signal);
  }

  function stop(): void {
    following?.abort();
    following = null;
    for (const timer of timers.values()) window.clearTimeout(timer);
    timers.clear();
    board.clear();
    findings.clear();
    analysis.value = null;
    isBroken.value = false;
  }

  function onVisibility(): void {
    if (document.hidden) return later("hidden", HIDDEN_MOST_MS, stop);
    forget("hidden");
    start();
  }

  watch(isWanted, (wanted) => (wanted ? undefined : board.clear()));
  onMounted(() => {
    document.addEventListener("visibilitychange", onVisibility);
    start();
  });
  onBeforeUnmount(() => {
    document.removeEventListener("visibilitychange", onVisibility);
    stop();
  });

  const notes = computed(() => [...(isWanted.value ? notesOf(analysis.value, isBroken.value) : []), ...findingNotesOf(analysis.value, isBroken.value)]);
  return { board, findings, isOffered, notes };
}
