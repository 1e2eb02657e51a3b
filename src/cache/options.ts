import { DewyError } from "../errors.ts";
import { duration, type QueryValues } from "../util/query.ts";
import { size } from "../util/sizes.ts";

/** What every cache takes. */
export const limitParams = { "max-size": size };

/** What those take that hosts share. */
export const sharedParams = { ...limitParams, "registry-ttl": duration, "registry-stale-max": duration };

export interface CacheSettings {
  /** Of its artifacts together; null: no limit. */
  readonly maxBytes: number | null;
  /** For how long a registry's answer serves the fleet; null: each host asks for itself. */
  readonly registryTtlMs: number | null;
  /** How old an answer may get while the registry fails. */
  readonly registryStaleMaxMs: number;
}

const staleMaxMs = 24 * 3_600_000;

export function cacheSettings(query: QueryValues<typeof sharedParams>): CacheSettings {
  const registryTtlMs = query["registry-ttl"];
  const staleMax = query["registry-stale-max"];
  if (registryTtlMs === null && staleMax !== null) {
    throw new DewyError("config-invalid", "registry-stale-max= is of no effect without registry-ttl=", {
      hint: "add registry-ttl=30s, or leave it out",
    });
  }
  if (registryTtlMs !== null && registryTtlMs < 1000) {
    throw new DewyError("config-invalid", "registry-ttl= is less than a second", {
      hint: "write how long hosts may share one answer: registry-ttl=30s",
    });
  }
  if (registryTtlMs !== null && staleMax !== null && staleMax < registryTtlMs) {
    throw new DewyError("config-invalid", "registry-stale-max= is less than registry-ttl=", {
      hint: "an answer is served for registry-ttl anyway: name a longer time",
    });
  }
  return { maxBytes: query["max-size"], registryTtlMs, registryStaleMaxMs: staleMax ?? staleMaxMs };
}
