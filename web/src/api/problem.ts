// What the server says when it cannot: RFC 9457, and the two ways of not hearing from it at all.

export class Problem extends Error {
  constructor(
    readonly status: number, // 0: no answer
    readonly title: string,
    readonly detail: string,
    readonly remedy: string,
    readonly more: Readonly<Record<string, unknown>> = {}, // all that the answer holds
  ) {
    super(title);
  }
}

export async function problemOf(response: Response): Promise<Problem> {
  const body = (await response.json().catch(() => ({}))) as Record<string, unknown>;
  const text = (key: string): string => (typeof body[key] === "string" ? body[key] : "");
  return new Problem(response.status, text("title"), text("detail"), text("remedy"), body);
}

export function unreachable(): Problem {
  return new Problem(0, "", "", "");
}
