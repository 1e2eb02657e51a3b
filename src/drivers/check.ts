import type { DriverUrls } from "../config/load.ts";
import { type Problem, problemOf } from "../config/problem.ts";
import { caches, readCache } from "./caches.ts";
import type { Environment } from "./driver.ts";
import { notifiers, readNotifier } from "./notifiers.ts";
import { archiveRegistries, imageRegistries, readArchiveRegistry, readImageRegistry } from "./registries.ts";

/** The schemes that work, for help texts and errors. */
export const schemes = {
  registry: Object.keys(archiveRegistries),
  imageRegistry: Object.keys(imageRegistries),
  cache: Object.keys(caches),
  notifier: Object.keys(notifiers),
} as const;

/** Everything the drivers have against the URLs; part of the check before anything is touched. */
export function urlChecker(env: Environment): (urls: DriverUrls) => Promise<readonly Problem[]> {
  return async ({ registry, cache, notifiers: urls, calver, images }) => {
    const host = { slot: null, calver };
    const readRegistry = images ? readImageRegistry : readArchiveRegistry;
    const problems = await Promise.all([
      registry === null ? null : problemWith(() => readRegistry(registry, host, env)),
      cache === null ? null : problemWith(() => readCache(cache, env)),
      ...urls.map((url) => problemWith(() => readNotifier(url, env))),
    ]);
    return problems.filter((problem) => problem !== null);
  };
}

async function problemWith(read: () => Promise<unknown>): Promise<Problem | null> {
  try {
    await read();
    return null;
  } catch (error) {
    return problemOf(error);
  }
}
