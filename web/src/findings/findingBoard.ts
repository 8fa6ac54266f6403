// What is open on every stream now. A reader of one stream's findings is told of that stream only.

import { shallowReactive } from "vue";
import type { OpenFinding, OpenFindings } from "../api/findings";

const NONE: readonly OpenFinding[] = [];

export class FindingBoard {
  private readonly open = shallowReactive(new Map<string, readonly OpenFinding[]>());
  private readonly closed = new Set<string>(); // those that the person closed here, until the server says so too

  of(streamId: string): readonly OpenFinding[] {
    return this.open.get(streamId) ?? NONE;
  }

  /** By the stream. */
  all(): ReadonlyMap<string, readonly OpenFinding[]> {
    return this.open;
  }

  /** `told` is the whole of what is open: what it lacks is over. */
  take({ streams }: OpenFindings): void {
    const ids = new Set(Object.values(streams).flatMap((findings) => findings.map(({ finding_id }) => finding_id)));
    for (const id of this.closed) if (!ids.has(id)) this.closed.delete(id);
    for (const streamId of [...this.open.keys()]) if (!Object.hasOwn(streams, streamId)) this.open.delete(streamId);
    for (const [streamId, findings] of Object.entries(streams)) this.put(streamId, findings);
  }

  /** A person rejected or resolved it here: it goes at once. */
  close(findingId: string): void {
    this.closed.add(findingId);
    for (const [streamId, findings] of [...this.open]) this.put(streamId, findings);
  }

  clear(): void {
    this.closed.clear();
    this.open.clear();
  }

  private put(streamId: string, findings: readonly OpenFinding[]): void {
    const left = findings.filter(({ finding_id }) => !this.closed.has(finding_id));
    if (left.length === 0) this.open.delete(streamId);
    else if (!isSame(left, this.of(streamId))) this.open.set(streamId, left);
  }
}

/** A finding never changes once it is raised, but for its severity. */
function isSame(one: readonly OpenFinding[], other: readonly OpenFinding[]): boolean {
  return one.length === other.length && one.every(({ finding_id, severity }, i) => finding_id === other[i]?.finding_id && severity === other[i]?.severity);
}
