import type { Cache } from "../../src/cache/cache.ts";
import { readCache } from "../../src/drivers/caches.ts";
import { HttpClient } from "../../src/http/client.ts";
import { silentLog } from "../../src/log.ts";
import { systemClock } from "../../src/util/time.ts";
import { sharedMinio } from "./minio.ts";
import { sharedRedis } from "./redis-server.ts";
import { tempDir } from "./temp-dir.ts";

export interface OpenFleetCache extends AsyncDisposable {
  readonly cache: Cache;
}

/** Caches that hosts share, on real servers, each call's with keys of its own. */
export const fleetCaches = {
  async redis() {
    const { url } = await sharedRedis();
    return open(`${url}/0?prefix=${crypto.randomUUID()}`, {});
  },

  async s3() {
    const minio = await sharedMinio();
    const bucket = `fleet-${crypto.randomUUID()}`;
    await minio.createBucket(bucket);
    const endpoint = encodeURIComponent(minio.endpoint);
    return open(`s3://${minio.region}/${bucket}/app?endpoint=${endpoint}`, minio.env);
  },
} as const satisfies Readonly<Record<string, () => Promise<OpenFleetCache>>>;

/** The part of the cache that `--cache URL` opens which is other hosts' too. */
async function open(url: string, env: Readonly<Record<string, string>>): Promise<OpenFleetCache> {
  const log = silentLog;
  const clock = systemClock;
  const http = new HttpClient({ clock, log, userAgent: "dewy-test", env });
  const dir = tempDir();
  const options = await readCache(url, env);
  const platform = { os: "linux", arch: "amd64" } as const;
  const { own, shared } = await options.open(dir.path, {
    platform,
    http,
    governor: http.governor,
    clock,
    log,
    env,
  });
  if (shared === null) throw new Error(`${url} is not shared`);
  return {
    cache: shared,
    async [Symbol.asyncDispose]() {
      await own[Symbol.asyncDispose]();
      await shared[Symbol.asyncDispose]();
      dir[Symbol.dispose]();
    },
  };
}
