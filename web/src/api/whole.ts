import type { Page } from "./cases";
import { ask } from "./server";

/** The whole of a list that is short enough for one page of ours. limit: how many the route gives at once. */
export async function whole<Item>(path: string, limit = 1000): Promise<Page<Item>> {
  const items: Item[] = [];
  let cursor: string | null = "";
  while (cursor !== null) {
    const page = (await ask("GET", `${path}?${new URLSearchParams({ limit: String(limit), cursor })}`)) as Page<Item>;
    items.push(...page.items);
    cursor = page.next_cursor;
  }
  return { items, next_cursor: null };
}
