// What is read out of new findings: one sentence a group in ten seconds, however many come. Plain; time is passed in.

import type { FindingGroup, OpenFinding } from "../api/findings";
import { rankOf, worstFirst } from "./worst";

export const QUIET_MS = 10_000; // after a group was read out

export interface Announcement {
  readonly streamId: string;
  readonly worst: OpenFinding;
  readonly more: number; // of the same group, since the group was last read out
}

interface Waiting {
  readonly streamId: string;
  readonly found: OpenFinding;
}

export class Announcer {
  private known = new Set<string>();
  private waiting: Waiting[] = [];
  private readonly saidMs = new Map<FindingGroup, number>();

  /** `open` is the whole of what is open, by the stream. What ends before its group may be read out is never read out. */
  take(open: ReadonlyMap<string, readonly OpenFinding[]>): void {
    const all = [...open].flatMap(([streamId, findings]) => findings.map((found) => ({ streamId, found })));
    const ids = new Set(all.map(({ found }) => found.finding_id));
    const fresh = all.filter(({ found }) => !this.known.has(found.finding_id));
    this.waiting = [...this.waiting.filter(({ found }) => ids.has(found.finding_id)), ...fresh];
    this.known = ids;
  }

  /** What may be read out now, the worst first. */
  due(nowMs: number): readonly Announcement[] {
    const groups = [...new Set(this.waiting.map(({ found }) => found.group))].filter((group) => nowMs >= this.endMs(group));
    const said = groups.map((group) => {
      const told = this.waiting.filter(({ found }) => found.group === group);
      this.waiting = this.waiting.filter(({ found }) => found.group !== group);
      this.saidMs.set(group, nowMs);
      const worst = worstFirst(told.map(({ found }) => found))[0];
      const first = told.find(({ found }) => found === worst) as Waiting; // told is not empty
      return { streamId: first.streamId, worst: first.found, more: told.length - 1 };
    });
    return said.sort((a, b) => rankOf(a.worst.severity) - rankOf(b.worst.severity));
  }

  /** When something that waits may be read out; null: nothing waits. */
  nextMs(): number | null {
    return this.waiting.length === 0 ? null : Math.min(...this.waiting.map(({ found }) => this.endMs(found.group)));
  }

  private endMs(group: FindingGroup): number {
    return (this.saidMs.get(group) ?? -Infinity) + QUIET_MS;
  }
}
