import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import type { Cache } from "../../cache/cache.ts";
import type { AgentConfig } from "../../config/config.ts";
import type { CacheOptions, OpenCaches } from "../../drivers/caches.ts";
import { records } from "../../events.ts";
import { duration } from "../../log.ts";
import type { Registry } from "../../registry/registry.ts";
import { shareScope } from "../../registry/shared/scope.ts";
import { shareRegistry } from "../../registry/shared/shared.ts";
import type { AgentParts } from "./parts.ts";

/** Opened for the agent's life. */
export async function openCaches(
  options: CacheOptions,
  directory: string,
  { open, drivers }: AgentParts,
): Promise<OpenCaches> {
  const caches = await options.open(directory, drivers);
  open.use(caches.own);
  if (caches.shared !== null) open.use(caches.shared);
  return caches;
}

/** Images are the engine's to keep: for containers a cache holds the registry's answers, or nothing. */
export async function openAnswers(
  options: CacheOptions,
  directory: string,
  parts: AgentParts,
): Promise<Cache | null> {
  if (options.isShared && options.registryTtlMs === null) {
    parts.log.warn("The shared cache is not used: images are the engine's to keep", {
      hint: "add registry-ttl=30s to the cache's URL to share the registry's answers",
    });
    return null;
  }
  return (await openCaches(options, directory, parts)).answers;
}

/** With `registry-ttl=` one host asks the registry, and all that share the cache take its answer. */
export function shareAnswers(
  upstream: Registry,
  config: AgentConfig,
  { registryTtlMs, registryStaleMaxMs }: CacheOptions,
  answers: Cache | null,
  { drivers, clock, log }: AgentParts,
): Registry {
  if (registryTtlMs === null || answers === null) return upstream;
  log.info(records.answersShared, { ttl: duration(registryTtlMs) });
  return shareRegistry(
    upstream,
    answers,
    {
      scope: shareScope({ ...config, platform: drivers.platform, host: hostname(), env: drivers.env }),
      ttlMs: registryTtlMs,
      staleMaxMs: registryStaleMaxMs,
      owner: `${hostname()}/${process.pid}/${randomUUID()}`,
    },
    { clock, log, random: Math.random },
  );
}
