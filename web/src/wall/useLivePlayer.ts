// A LivePlayer in a tile: starts and stops with the stream and the tab, and tells the template how it goes.

import { onBeforeUnmount, onMounted, reactive, watch, type Ref } from "vue";
import { openPlaylistUrl, openSocketUrl, snapshotUrl, type Stream } from "../api/server";
import { LivePlayer } from "../player/livePlayer";
import type { Path } from "../player/path";
import type { Gap, Phase } from "../player/phase";

const HIDDEN_MOST_MS = 10_000; // a tab looked away from for longer lets its streams go
const GAP_SHOWN_MS = 5_000;
const REPORT_MS = 250;
const ENDED_AGAIN_MS = 3_000; // the list still calls it live: it began anew

export interface Playing {
  path: Path;
  unplayableCodecs: readonly string[]; // why stills are shown; empty for any other reason
  phase: Phase;
  phaseAtMs: number;
  pictureAtMs: number; // 0: no picture yet
  latencyMs: number | null;
  gap: Gap | null;
}

/** The elements of a tile. `tile` carries the numbers as data attributes, for tests and for the curious. */
export interface TileElements {
  readonly tile: Ref<HTMLElement | null>;
  readonly video: Ref<HTMLVideoElement | null>;
  readonly still: Ref<HTMLImageElement | null>;
}

export function useLivePlayer(stream: () => Stream, serverOffsetMs: () => number, { tile, video, still }: TileElements): Playing {
  const playing = reactive<Playing>({
    path: "ws", unplayableCodecs: [], phase: { name: "stopped" }, phaseAtMs: Date.now(), pictureAtMs: 0, latencyMs: null, gap: null,
  });
  const timers = new Map<"gap" | "hidden" | "again" | "report", number>();
  let player: LivePlayer | null = null;

  const isWanted = (): boolean => stream().state === "live" || stream().state === "reconnecting";

  function later(name: "gap" | "hidden" | "again", delayMs: number, act: () => void): void {
    window.clearTimeout(timers.get(name));
    timers.set(name, window.setTimeout(act, delayMs));
  }

  function startIfIdle(): void {
    if (isWanted() && (playing.phase.name === "stopped" || playing.phase.name === "ended")) player?.start();
  }

  function onPhase(phase: Phase): void {
    playing.phase = phase;
    playing.phaseAtMs = Date.now();
    if (phase.name === "ended") later("again", ENDED_AGAIN_MS, startIfIdle);
  }

  function onPath(path: Path, unplayableCodecs: readonly string[]): void {
    playing.path = path;
    playing.unplayableCodecs = unplayableCodecs;
  }

  function onGap(gap: Gap): void {
    playing.gap = gap;
    later("gap", GAP_SHOWN_MS, () => (playing.gap = null));
  }

  function onVisibility(): void {
    if (document.hidden) return later("hidden", HIDDEN_MOST_MS, () => player?.stop());
    window.clearTimeout(timers.get("hidden"));
    startIfIdle();
  }

  function report(): void {
    if (player === null || tile.value === null) return;
    const { pictures } = player;
    const latencyMs = pictures.latencyMs(serverOffsetMs());
    playing.latencyMs = latencyMs;
    playing.pictureAtMs = pictures.count === 0 ? 0 : Date.now() - (performance.now() - pictures.lastAt);
    Object.assign(tile.value.dataset, {
      path: playing.path, phase: playing.phase.name, frames: pictures.count, latencyMs: latencyMs === null ? "" : Math.round(latencyMs),
      bufferMs: player.bufferMs, targetMs: player.targetMs, rate: video.value?.playbackRate ?? 1,
      stalls: player.stalls, jumps: player.jumps,
    });
  }

  onMounted(() => {
    if (video.value === null || still.value === null) return;
    const id = stream().stream_id;
    player = new LivePlayer(
      {
        video: video.value, still: still.value, snapshotUrl: snapshotUrl(id),
        socketUrl: () => openSocketUrl(id), playlistUrl: () => openPlaylistUrl(id),
      },
      { onPhase, onGap, onPath },
    );
    timers.set("report", window.setInterval(report, REPORT_MS));
    document.addEventListener("visibilitychange", onVisibility);
    watch(isWanted, (wanted) => (wanted ? startIfIdle() : player?.stop()), { immediate: true });
  });

  onBeforeUnmount(() => {
    document.removeEventListener("visibilitychange", onVisibility);
    for (const timer of timers.values()) window.clearTimeout(timer); // clears intervals too, by the HTML standard
    player?.close();
    player = null;
  });

  return playing;
}
