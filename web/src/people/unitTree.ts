// Units in the order of their tree. Knows no page.

import type { Unit } from "../api/people";

export interface Placed extends Unit {
  readonly depth: number; // 0: of the top
}

/** Each unit once, below the one above it; of a parent that is not there, as if it had none. */
export function asTree(units: readonly Unit[]): readonly Placed[] {
  const known = new Set(units.map((each) => each.name));
  const below = new Map<string | null, Unit[]>();
  for (const each of units) {
    const parent = each.parent !== null && known.has(each.parent) ? each.parent : null;
    below.set(parent, [...(below.get(parent) ?? []), each]);
  }
  const rows: Placed[] = [];
  const walk = (parent: string | null, depth: number): void => {
    for (const each of below.get(parent) ?? []) {
      rows.push({ ...each, depth });
      walk(each.name, depth + 1);
    }
  };
  walk(null, 0);
  return rows;
}
