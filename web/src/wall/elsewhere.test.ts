import { expect, test } from "vitest";
import type { Stream } from "../api/server";
import { finding, openFinding } from "../findings/made";
import { elsewhereOf } from "./elsewhere";

const stream = (id: string): Stream => ({
  stream_id: id, device_id: id, device_name: `记录仪 ${id}`, officer: null, unit: null, state: "live", started_at: "2026-11-24T01:00:00.000Z",
  video: null, audio: null, viewers: 0, bitrate_bps: 0, last_keyframe_at: null,
});
const slots = [stream("a"), null, stream("b"), stream("c")];

test("grave findings out of sight are told, the worst first, one entry a stream", () => {
  const heard = new Map([["a", [openFinding({ finding_id: "1" })]], ["b", [openFinding({ finding_id: "2" }), openFinding({ finding_id: "3", severity: "low" })]]]);
  const asked = [finding({ finding_id: "2", stream_id: "b" }), finding({ finding_id: "4", stream_id: "b", severity: "high" }), finding({ finding_id: "5", stream_id: "c", severity: "critical" })];
  const told = elsewhereOf(slots, new Set(["a"]), heard, asked);
  expect(told.map(({ streamId, slot, worst, more }) => [streamId, slot, worst.finding_id, more])).toEqual([["c", 3, "5", 0], ["b", 2, "2", 1]]);
});

test("small findings, missing duties and streams that are not on the wall are not told", () => {
  const asked = [finding({ stream_id: "b", severity: "medium" }), finding({ stream_id: "c", group: "procedure", finding: "duty_missing" }), finding({ stream_id: "gone", severity: "critical" })];
  expect(elsewhereOf(slots, new Set(), new Map(), asked)).toEqual([]);
});
