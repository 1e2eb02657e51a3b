import { DewyError } from "../errors.ts";
import type { HttpClient } from "../http/client.ts";
import type { Governor } from "../http/governor.ts";
import type { Log } from "../log.ts";
import type { Platform } from "../release/platform.ts";
import type { Clock } from "../util/time.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** What an implementation is opened with. */
export interface DriverDeps {
  readonly platform: Platform;
  readonly http: HttpClient;
  /** Of the clients that make their requests themselves. */
  readonly governor: Governor;
  readonly clock: Clock;
  readonly log: Log;
  readonly env: Environment;
}

/** Scheme → implementation, loaded when it is asked for. */
export type Drivers<T> = Readonly<Record<string, () => Promise<T>>>;

/** The driver of a URL's scheme; `config-invalid` for one that none of them serves. */
export async function driverOf<T>(flag: string, drivers: Drivers<T>, url: string): Promise<T> {
  const scheme = schemeOf(url);
  const load = Object.hasOwn(drivers, scheme) ? drivers[scheme] : undefined;
  if (load !== undefined) return load();
  const known = Object.keys(drivers).map((name) => `${name}://`);
  throw new DewyError("config-invalid", `${flag}: the scheme ${scheme}:// is not known`, {
    hint:
      known.length === 0
        ? "this version has none yet: leave the flag out"
        : `write one of ${known.join(", ")}`,
  });
}

export function schemeOf(url: string): string {
  return new URL(url).protocol.slice(0, -1);
}
