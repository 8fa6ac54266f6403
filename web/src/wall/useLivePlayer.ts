// A LivePlayer in a tile: starts and stops with the stream and the tab, and tells the template how it goes.

import { onBeforeUnmount, onMounted, reactive, watch, type Ref } from "vue";
import { openPlaylistUrl, openSocketUrl, snapshotUrl, type Stream } from "../api/server";
import { LivePlayer } from "../player/livePlayer";
import type { Path } from "../player/path";
import type { Gap, Phase } from "../player/phase";
import type { Wish } from "../player/wish";

const HIDDEN_MOST_MS = 10_000; // a tab looked away from for longer lets its streams go
const GAP_SHOWN_MS = 5_000;
const SETTLE_MS = 400; // a focus that wanders over the wall, or a window that is drawn larger, changes nothing yet
const REPORT_MS = 250;
const ENDED_AGAIN_MS = 3_000; // the list still calls it live: it began anew

export interface Playing {
  path: Path;
  wish: Wish; // what the player was asked for
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
  readonly held: Ref<HTMLCanvasElement | null>;
}

/** `wish`: what the tile asks for now; null while nobody can tell, then the last one holds. */
export function useLivePlayer(
  stream: () => Stream, serverOffsetMs: () => number, wish: () => Wish | null, { tile, video, still, held }: TileElements,
): Playing {
  const playing = reactive<Playing>({
    path: "ws", wish: { tracks: "all", isLowLatency: true }, unplayableCodecs: [], phase: { name: "stopped" }, phaseAtMs: Date.now(), pictureAtMs: 0, latencyMs: null, gap: null,
  });
  const timers = new Map<"gap" | "wish" | "hidden" | "again" | "report", number>();
  let player: LivePlayer | null = null;

  const isWanted = (): boolean => stream().state === "live" || stream().state === "reconnecting";

  function later(name: "gap" | "wish" | "hidden" | "again", delayMs: number, act: () => void): void {
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

  function askWished(): void {
    const wished = wish();
    if (wished === null) return;
    playing.wish = wished;
    player?.ask(wished);
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
    const isKeyOnly = playing.path === "ws" && playing.wish.tracks === "key";
    // A key frame stays until the next one: it is told how old it will be then.
    playing.latencyMs = latencyMs !== null && isKeyOnly ? latencyMs + pictures.everyMs : latencyMs;
    playing.pictureAtMs = pictures.count === 0 ? 0 : Date.now() - (performance.now() - pictures.lastAt);
    Object.assign(tile.value.dataset, {
      path: playing.path, tracks: isKeyOnly ? "key" : "all", phase: playing.phase.name, frames: pictures.count, latencyMs: latencyMs === null ? "" : Math.round(latencyMs),
      bufferMs: player.bufferMs, targetMs: player.targetMs, rate: video.value?.playbackRate ?? 1,
      stalls: player.stalls, jumps: player.jumps,
    });
  }

  onMounted(() => {
    if (video.value === null || still.value === null || held.value === null) return;
    const id = stream().stream_id;
    player = new LivePlayer(
      {
        video: video.value, still: still.value, held: held.value, snapshotUrl: snapshotUrl(id),
        socketUrl: (tracks) => openSocketUrl(id, tracks), playlistUrl: () => openPlaylistUrl(id),
      },
      { onPhase, onGap, onPath },
      playing.wish,
    );
    timers.set("report", window.setInterval(report, REPORT_MS));
    document.addEventListener("visibilitychange", onVisibility);
    askWished();
    watch(() => JSON.stringify(wish()), () => later("wish", SETTLE_MS, askWished));
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
