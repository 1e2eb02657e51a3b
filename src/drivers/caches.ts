import { fileURLToPath } from "node:url";
import type { Cache } from "../cache/cache.ts";
import { type CacheSettings, cacheSettings, limitParams, sharedParams } from "../cache/options.ts";
import { DewyError } from "../errors.ts";
import { records } from "../events.ts";
import { Governor } from "../http/governor.ts";
import { duration, readQueries, readQuery } from "../util/query.ts";
import { type DriverDeps, type Drivers, driverOf, type Environment } from "./driver.ts";
import { bucketStores, type StoreDriver } from "./stores.ts";

/** The caches of one agent. */
export interface OpenCaches {
  /** This host's alone; its artifacts go with their releases. */
  readonly own: Cache;
  /** Other hosts' too; null: none. */
  readonly shared: Cache | null;
  /** Where the registry's answers may be kept; null: nowhere. */
  readonly answers: Cache | null;
}

export interface CacheOptions extends CacheSettings {
  /** The directory the URL itself names; null: the agent's own. */
  readonly directory: string | null;
  /** Whether the URL is of a cache that hosts share. */
  readonly isShared: boolean;
  /** `directory` is the agent's cache directory. */
  open(directory: string, deps: DriverDeps): Promise<OpenCaches>;
}

type CacheDriver = (url: URL, env: Environment) => CacheOptions;

const noAnswers: CacheSettings = { maxBytes: null, registryTtlMs: null, registryStaleMaxMs: 0 };

const file = async (): Promise<CacheDriver> => (url) => {
  if (url.host !== "") {
    throw new DewyError("config-invalid", "the cache URL does not name an absolute directory", {
      hint: "write file:///var/cache/dewy, with three slashes, or just file",
    });
  }
  const query = readQuery(url, { ...limitParams, "registry-ttl": duration });
  const named = url.pathname !== "" && url.pathname !== "/";
  return {
    ...noAnswers,
    maxBytes: query["max-size"],
    directory: named ? fileURLToPath(new URL(url.pathname, "file://")) : null,
    isShared: false,
    async open(directory, deps) {
      if (query["registry-ttl"] !== null) {
        deps.log.warn("registry-ttl set but cache backend does not support atomic writes; ignoring");
      }
      return { own: await openOwn(directory, deps), shared: null, answers: null };
    },
  };
};

const memory = async (): Promise<CacheDriver> => {
  const { openMemoryCache } = await import("../cache/memory.ts");
  return (url) => {
    const settings = cacheSettings(readQuery(url, sharedParams));
    if (url.host !== "" || (url.pathname !== "" && url.pathname !== "/")) {
      throw new DewyError("config-invalid", "the memory cache has no address", { hint: "write memory://" });
    }
    return {
      ...settings,
      // It makes room by itself.
      maxBytes: null,
      directory: null,
      isShared: false,
      async open(_, deps) {
        const own = openMemoryCache(deps, settings.maxBytes ?? undefined);
        return { own, shared: null, answers: own };
      },
    };
  };
};

const bucket = (load: () => Promise<StoreDriver>) => async (): Promise<CacheDriver> => {
  const store = await load();
  return (url) => {
    const { query, open } = store.read(url, sharedParams);
    return shared(cacheSettings(query), async (deps) => {
      const { openObjectCache } = await import("../cache/object.ts");
      return openObjectCache(await open(deps), deps);
    });
  };
};

const redis = async (): Promise<CacheDriver> => {
  const { readRedisUrl, redisParams } = await import("../cache/redis/url.ts");
  return (url, env) => {
    const [own, query] = readQueries(url, redisParams, sharedParams);
    const options = readRedisUrl(url, own, env);
    return shared(cacheSettings(query), async (deps) => {
      const { openRedisKeyValue } = await import("../cache/redis/key-value.ts");
      const { openChunkedCache } = await import("../cache/chunked/cache.ts");
      return openChunkedCache(openRedisKeyValue(options, deps), deps);
    });
  };
};

const consul = async (): Promise<CacheDriver> => {
  const { consulParams, readConsulUrl } = await import("../cache/consul/url.ts");
  return (url, env) => {
    const [own, query] = readQueries(url, consulParams, sharedParams);
    const options = readConsulUrl(url, own, env);
    return shared(cacheSettings(query), async (deps) => {
      const { openConsulKeyValue } = await import("../cache/consul/key-value.ts");
      const { openChunkedCache } = await import("../cache/chunked/cache.ts");
      const sizeBytes = options.maxArtifactBytes;
      const maxFile = { sizeBytes, record: records.staysHere };
      return openChunkedCache(openConsulKeyValue(options, deps), deps, { maxFile });
    });
  };
};

export const caches: Drivers<CacheDriver> = {
  file,
  memory,
  s3: bucket(bucketStores.s3),
  gs: bucket(bucketStores.gs),
  redis,
  rediss: redis,
  consul,
};

export async function readCache(url: string, env: Environment): Promise<CacheOptions> {
  const driver = await driverOf("--cache", caches, url);
  return driver(new URL(url), env);
}

/** What this host fetched stays here too: it can be placed again with the shared cache gone. */
function shared(settings: CacheSettings, open: (deps: DriverDeps) => Promise<Cache>): CacheOptions {
  return {
    ...settings,
    directory: null,
    isShared: true,
    async open(directory, deps) {
      const own = await openOwn(directory, deps);
      // A cache that is left alone for a while must not keep a registry at the same address from being asked.
      const others = await open({ ...deps, governor: new Governor(deps) });
      return { own, shared: others, answers: others };
    },
  };
}

async function openOwn(directory: string, deps: DriverDeps): Promise<Cache> {
  const { openLocalStore } = await import("../store/local.ts");
  const { openObjectCache } = await import("../cache/object.ts");
  return openObjectCache(openLocalStore(directory), deps);
}
