import { DewyError } from "../../src/errors.ts";
import { HttpClient } from "../../src/http/client.ts";
import { silentLog } from "../../src/log.ts";
import { FakeClock } from "../support/clock.ts";
import type { Reply } from "../support/http-host.ts";

export const c = { signal: new AbortController().signal };
export const ok: Reply = { status: 200, headers: { "Content-Type": "application/json" }, body: '{"n":1}' };

export function client(clock = new FakeClock()) {
  return new HttpClient({ clock, log: silentLog, userAgent: "dewy/1.2.3", random: () => 0.999 });
}

export async function failureOf(work: Promise<unknown>): Promise<DewyError> {
  const error = await work.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof DewyError)) throw new Error(`not a DewyError: ${String(error)}`);
  return error;
}

export function json(http: HttpClient, url: string, headers: Record<string, string> = {}) {
  return http.getJson({ url, headers, doing: "ask", read: (value) => value }, c);
}
