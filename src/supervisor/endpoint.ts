import type { Endpoint } from "../health/dial.ts";
import { isIPv4 } from "../util/ip.ts";
import type { ListenSpec } from "./listen-spec.ts";

/**
 * Where an app that listens there is asked on this host: on the lowest TCP port, else on the first unix socket. null:
 * it listens nowhere. `listen` is in the order of the app's descriptors, which is that of the ports.
 */
export function askedAt(listen: readonly ListenSpec[]): Endpoint | null {
  const [first] = listen;
  if (first === undefined) return null;
  return first.kind === "unix" ? { unix: first.path } : { host: hostOf(first.host), port: first.port };
}

/** What listens on every address is reached on loopback. */
function hostOf(host: string | null): string {
  if (host === null) return "127.0.0.1";
  if (isIPv4(host)) return host === "0.0.0.0" ? "127.0.0.1" : host;
  return host === "::" ? "::1" : host;
}
