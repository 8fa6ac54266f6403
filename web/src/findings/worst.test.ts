import { expect, test } from "vitest";
import { openFinding } from "./made";
import { tileFindings, worstFirst } from "./worst";

test("the worst comes first, of like ones the newest, and one of an unknown severity last", () => {
  const [old, fresh] = ["2026-11-24T01:00:00.000Z", "2026-11-24T01:00:05.000Z"];
  const found = [
    openFinding({ finding_id: "odd", severity: "weird" as "low" }), openFinding({ finding_id: "low", severity: "low" }), openFinding({ finding_id: "old", raised_at: old }),
    openFinding({ finding_id: "fresh", raised_at: fresh }), openFinding({ finding_id: "critical", severity: "critical", raised_at: old }),
  ];
  expect(worstFirst(found).map(({ finding_id }) => finding_id)).toEqual(["critical", "fresh", "old", "low", "odd"]);
});

test("missing duties are counted apart and never hide what happens on the tile", () => {
  const duty = (finding_id: string) => openFinding({ finding_id, group: "procedure", finding: "duty_missing", severity: "high" });
  const told = tileFindings([duty("d1"), openFinding({ finding_id: "low", severity: "low" }), duty("d2"), openFinding({ finding_id: "medium", severity: "medium" })]);
  expect(told.worst?.finding_id).toBe("medium");
  expect(told.more).toBe(1);
  expect(told.missing.map(({ finding_id }) => finding_id)).toEqual(["d1", "d2"]);
  expect(tileFindings([])).toEqual({ worst: null, more: 0, missing: [] });
});
