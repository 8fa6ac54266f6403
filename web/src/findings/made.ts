// Findings made for tests.

import type { Finding, OpenFinding } from "../api/findings";

export function openFinding(change: Partial<OpenFinding>): OpenFinding {
  return { finding_id: "f1", finding: "lens_covered", group: "integrity", severity: "high", raised_at: "2026-11-24T01:00:00.000Z", explanation: "画面被遮住。", ...change };
}

export function finding(change: Partial<Finding>): Finding {
  return {
    ...openFinding({}), confidence: 0.9, state: "new", is_open: true, ended_at: null, end_reason: "", stream_id: "s1", device_name: "记录仪 1", officer: "李四", case_ids: [],
    rule: "pictures.lens_covered@0a1b2c3d", measures: {}, quotes: [], of_events: [], media: null, review: null, similar: 0, is_evidence: false, ...change,
  };
}
