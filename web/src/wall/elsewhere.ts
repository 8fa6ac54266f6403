// Grave findings on streams that stand on the wall, but not in sight. Plain lists.

import type { Finding, OpenFinding } from "../api/findings";
import { isGrave, worstFirst } from "../findings/worst";
import type { Slot } from "./placement";

export interface Elsewhere {
  readonly streamId: string;
  readonly slot: number;
  readonly device: string;
  readonly worst: OpenFinding;
  readonly more: number;
}

/** heard: of streams that are watched. asked: of all within reach. One entry a stream, the worst first. */
export function elsewhereOf(slots: readonly Slot[], inSight: ReadonlySet<string>, heard: ReadonlyMap<string, readonly OpenFinding[]>, asked: readonly Finding[]): readonly Elsewhere[] {
  const found = slots.flatMap((stream, slot) => {
    if (stream === null || inSight.has(stream.stream_id)) return [];
    const told = [...(heard.get(stream.stream_id) ?? []), ...asked.filter(({ stream_id }) => stream_id === stream.stream_id)];
    const all = [...new Map(told.map((each) => [each.finding_id, each])).values()].filter(({ severity, group }) => isGrave(severity) && group !== "procedure");
    const [worst, ...more] = worstFirst(all);
    return worst === undefined ? [] : [{ streamId: stream.stream_id, slot, device: stream.device_name, worst, more: more.length }];
  });
  const order = worstFirst(found.map(({ worst }) => worst));
  return found.sort((a, b) => order.indexOf(a.worst) - order.indexOf(b.worst));
}
