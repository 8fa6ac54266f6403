// Where a span lies on a bar as long as the recording.

import type { Span } from "../api/people";

export function percentOf(span: Span, length_s: number): { left: string; width: string } {
  const whole = Math.max(length_s, 0.001);
  const left = Math.min(100, Math.max(0, (100 * span.start_s) / whole));
  const width = Math.min(100 - left, Math.max(0.2, (100 * (span.end_s - span.start_s)) / whole));
  return { left: `${left}%`, width: `${width}%` };
}
