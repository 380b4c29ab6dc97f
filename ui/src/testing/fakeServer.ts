/** Stands in for the server behind fetch. A request without a handler fails the test. */
import { vi } from "vitest";

/** Answers by "METHOD /path"; `*` stands for one segment of the path. */
export type Handlers = Record<string, (url: URL) => unknown>;

/** An answer other than 200. */
export class Refusal {
  constructor(
    readonly status: number,
    readonly body: unknown,
  ) {}
}

let requests: string[] = [];
let unhandled: string[] = [];

export function installFakeServer(handlers: Handlers): void {
  requests = [];
  unhandled = [];
  vi.stubGlobal("fetch", async (input: Request) => {
    const url = new URL(input.url);
    const asked = `${input.method} ${url.pathname}`;
    requests.push(`${asked}${url.search}`);
    const [, handler] =
      Object.entries(handlers).find(([pattern]) => matches(pattern, asked)) ??
      ([] as [string?, Handlers[string]?]);
    if (handler === undefined) {
      unhandled.push(`${asked}${url.search}`);
      return Response.error();
    }
    const answer = handler(url);
    const status = answer instanceof Refusal ? answer.status : 200;
    return Response.json(answer instanceof Refusal ? answer.body : answer, { status });
  });
}

function matches(pattern: string, asked: string): boolean {
  const wanted = pattern.split("/");
  const parts = asked.split("/");
  return (
    wanted.length === parts.length && wanted.every((part, place) => part === "*" || part === parts[place])
  );
}

/** All requests so far, as "METHOD /path?query". */
export function seenRequests(): readonly string[] {
  return requests;
}

export function unhandledRequests(): readonly string[] {
  return unhandled;
}
