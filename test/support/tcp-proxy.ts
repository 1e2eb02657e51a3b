import { silentLog } from "../../src/log.ts";
import type { ProxyOptions } from "../../src/proxy/options.ts";
import type { ReplicaAddresses } from "../../src/proxy/rotation.ts";
import { TcpProxy } from "../../src/proxy/tcp-proxy.ts";
import type { Address } from "../../src/util/address.ts";
import { systemClock } from "../../src/util/time.ts";
import { freePort } from "./free-port.ts";

export interface ProxyHost extends AsyncDisposable {
  readonly proxy: TcpProxy;
  /** The first proxied one. */
  readonly port: number;
  /** Puts a replica behind the first port, at ports of this host. */
  admit(replica: string, ...backends: readonly (number | Address)[]): void;
}

/** A proxy on a free port of this host. */
export function startProxy(options: Partial<ProxyOptions> = {}): ProxyHost {
  const listen = options.listen ?? [{ host: "127.0.0.1", port: freePort() }];
  const port = listen[0]?.port ?? 0;
  const proxy = TcpProxy.open({ log: silentLog, clock: systemClock, ...options, listen });
  return {
    proxy,
    port,
    admit: (replica, ...backends) => proxy.admit(replica, behind(port, ...backends)),
    [Symbol.asyncDispose]: () => proxy[Symbol.asyncDispose](),
  };
}

export function behind(port: number, ...backends: readonly (number | Address)[]): ReplicaAddresses {
  const addresses = backends.map((each) =>
    typeof each === "number" ? { host: "127.0.0.1", port: each } : each,
  );
  return new Map([[port, addresses]]);
}

/** Pseudo-random numbers from 0 to 1 that a seed makes again (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
