import { expect, test } from "vitest";
import type { OpenFinding } from "../api/findings";
import { Announcer, QUIET_MS } from "./announcer";
import { openFinding } from "./made";

const open = (...findings: OpenFinding[]): ReadonlyMap<string, readonly OpenFinding[]> => new Map(findings.map((found) => [`s-${found.finding_id}`, [found]]));
const one = openFinding({ finding_id: "1", severity: "low" });
const two = openFinding({ finding_id: "2", severity: "critical" });
const three = openFinding({ finding_id: "3", severity: "high" });
const loud = openFinding({ finding_id: "4", group: "sound", finding: "shouting" });

test("many at once are one sentence a group: the worst of them, and how many more", () => {
  const announcer = new Announcer();
  announcer.take(open(loud, one, two, three));
  expect(announcer.due(0)).toEqual([{ streamId: "s-2", worst: two, more: 2 }, { streamId: "s-4", worst: loud, more: 0 }]);
  expect(announcer.due(0)).toEqual([]);
});

test("a group that was read out waits ten seconds; another does not", () => {
  const announcer = new Announcer();
  announcer.take(open(one));
  announcer.due(1_000);
  announcer.take(open(one, two, loud));
  expect(announcer.due(2_000).map(({ worst }) => worst)).toEqual([loud]);
  expect(announcer.nextMs()).toBe(1_000 + QUIET_MS);
  expect(announcer.due(1_000 + QUIET_MS - 1)).toEqual([]);
  expect(announcer.due(1_000 + QUIET_MS)).toEqual([{ streamId: "s-2", worst: two, more: 0 }]);
  expect(announcer.nextMs()).toBeNull();
});

test("what ended while it waited is not read out, and what is told again is not new", () => {
  const announcer = new Announcer();
  announcer.take(open(one));
  announcer.due(0);
  announcer.take(open(one, two));
  announcer.take(open(one));
  expect(announcer.due(QUIET_MS)).toEqual([]);
});
