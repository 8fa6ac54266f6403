// A caption made for tests.

import type { Caption } from "../api/captions";

export const caption = (change: Partial<Caption>): Caption => ({
  stream_id: "s1", utterance: 1, start_s: 10, end_s: 11, text: "请出示营业执照", settled: 0, is_final: false, late_s: 0.6, speaker: "unknown", ...change,
});
