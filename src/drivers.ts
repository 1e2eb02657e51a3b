import type { Cache } from "./cache/cache.ts";
import type { CheckUrls } from "./config/load.ts";
import { type Problem, problemOf } from "./config/problem.ts";
import { DewyError } from "./errors.ts";
import type { HttpClient } from "./http/client.ts";
import type { Log } from "./log.ts";
import { type Notifier, nullNotifier } from "./notify/notifier.ts";
import type { ImageSource } from "./oci/image-source.ts";
import type { Registry } from "./registry/registry.ts";
import { type HostSelection, selectPolicy } from "./registry/selection.ts";
import type { Platform } from "./release/platform.ts";
import type { ArtifactSource } from "./release/source.ts";
import type { Clock } from "./util/time.ts";

/** Scheme → implementation, loaded when it is asked for. The only file that names implementations. */

export interface DriverDeps {
  readonly platform: Platform;
  readonly http: HttpClient;
  readonly clock: Clock;
  readonly log: Log;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Reads a URL completely, touching nothing, and answers what opens it; `config-invalid` if it is not right. */
type RegistryDriver<T> = (url: URL, host: HostSelection, env: Environment) => (deps: DriverDeps) => T;

export interface OpenRegistry {
  readonly registry: Registry;
  /** For the artifact URLs its releases hold. */
  readonly source: ArtifactSource;
}

const archiveRegistries: Record<string, () => Promise<RegistryDriver<OpenRegistry>>> = {
  file: async () => {
    const { parseDirectoryUrl, openDirectory, directorySource } = await import("./registry/file.ts");
    return (url, host) => {
      const options = parseDirectoryUrl(url);
      const policy = selectPolicy(options, host);
      return ({ platform }) => ({
        registry: openDirectory(options, { policy, platform }),
        source: directorySource,
      });
    };
  },
  ghr: async () => {
    const { parseGithubUrl } = await import("./registry/github/url.ts");
    const { readGithubEnvironment } = await import("./registry/github/environment.ts");
    const { openGithub } = await import("./registry/github/registry.ts");
    return (url, host, env) => {
      const options = parseGithubUrl(url);
      const environment = readGithubEnvironment(env);
      const policy = selectPolicy(options, host);
      return (deps) => openGithub(options, { ...deps, policy, environment });
    };
  },
};

export interface OpenImageRegistry {
  readonly registry: Registry;
  /** For whoever pulls its images. */
  readonly images: ImageSource;
}

const oci = async (): Promise<RegistryDriver<OpenImageRegistry>> => {
  const { parseOciUrl, openOciRegistry } = await import("./registry/oci.ts");
  return (url, host, env) => {
    const options = parseOciUrl(url, host);
    return (deps) => openOciRegistry(options, { ...deps, env });
  };
};

const imageRegistries: Record<string, () => Promise<RegistryDriver<OpenImageRegistry>>> = {
  img: oci,
  docker: oci,
};

/** Likewise; `directory` is the agent's cache directory. */
type CacheDriver = (url: URL) => CacheOptions;

export interface CacheOptions {
  /** The directory the URL itself names; null: the agent's own. */
  readonly directory: string | null;
  /** Whether its artifacts are this host's alone. */
  readonly ownsArtifacts: boolean;
  open(directory: string, log: Log): Cache;
}

const caches: Record<string, () => Promise<CacheDriver>> = {
  file: async () => {
    const { parseFileCacheUrl, openFileCache } = await import("./cache/file.ts");
    return (url) => {
      const { directory, registryTtlMs } = parseFileCacheUrl(url);
      return {
        directory,
        ownsArtifacts: true,
        open(path, log) {
          if (registryTtlMs !== null) {
            log.warn("registry-ttl set but cache backend does not support atomic writes; ignoring");
          }
          return openFileCache(path);
        },
      };
    };
  },
  memory: async () => {
    const { parseMemoryUrl, openMemoryCache } = await import("./cache/memory.ts");
    return (url) => {
      parseMemoryUrl(url);
      return { directory: null, ownsArtifacts: true, open: () => openMemoryCache() };
    };
  },
};

type NotifierDriver = (url: URL) => (deps: DriverDeps) => Notifier;

const notifiers: Record<string, () => Promise<NotifierDriver>> = {};

/** The schemes that work, for help texts and errors. */
export const schemes = {
  registry: Object.keys(archiveRegistries),
  imageRegistry: Object.keys(imageRegistries),
  cache: Object.keys(caches),
  notifier: Object.keys(notifiers),
} as const;

/** Everything the drivers have against the URLs; part of the check before anything is touched. */
export function urlChecker(env: Environment): CheckUrls {
  return async ({ registry, cache, notifiers: urls, calver, images }) => {
    const host = { slot: null, calver };
    const readRegistry = images ? readImageRegistry : readArchiveRegistry;
    const problems = await Promise.all([
      registry === null ? null : problemWith(() => readRegistry(registry, host, env)),
      cache === null ? null : problemWith(() => readCache(cache)),
      ...urls.map((url) => problemWith(() => readNotifier(url))),
    ]);
    return problems.filter((problem) => problem !== null);
  };
}

export async function readArchiveRegistry(url: string, host: HostSelection, env: Environment) {
  if (schemeOf(url) in imageRegistries) {
    throw new DewyError("config-invalid", `--registry: ${schemeOf(url)}:// has images`, {
      hint: "run dewy container, or name a registry of archives",
    });
  }
  const driver = await driverOf("--registry", archiveRegistries, url);
  return driver(new URL(url), host, env);
}

export async function readImageRegistry(url: string, host: HostSelection, env: Environment) {
  if (schemeOf(url) in archiveRegistries) {
    throw new DewyError("config-invalid", `--registry: ${schemeOf(url)}:// has archives`, {
      hint: "run dewy server or dewy assets, or name a registry of images: img://host/name",
    });
  }
  const driver = await driverOf("--registry", imageRegistries, url);
  return driver(new URL(url), host, env);
}

export async function readCache(url: string): Promise<CacheOptions> {
  const driver = await driverOf("--cache", caches, url);
  return driver(new URL(url));
}

async function readNotifier(url: string) {
  const driver = await driverOf("--notifier", notifiers, url);
  return driver(new URL(url));
}

/** One notifier that tells all of them; one that fails keeps nothing from the others. */
export async function openNotifiers(urls: readonly string[], deps: DriverDeps): Promise<Notifier> {
  const opened = await Promise.all(urls.map(async (url) => (await readNotifier(url))(deps)));
  const [only = nullNotifier] = opened;
  if (opened.length <= 1) return only;
  return {
    async notify(event, c) {
      const results = await Promise.allSettled(opened.map((notifier) => notifier.notify(event, c)));
      const failures = results.flatMap((result) => (result.status === "rejected" ? [result.reason] : []));
      if (failures.length > 0) throw new AggregateError(failures, failures.map(String).join("; "));
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(opened.map((notifier) => notifier[Symbol.asyncDispose]()));
    },
  };
}

async function driverOf<T>(flag: string, drivers: Record<string, () => Promise<T>>, url: string): Promise<T> {
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

function schemeOf(url: string): string {
  return new URL(url).protocol.slice(0, -1);
}

async function problemWith(read: () => Promise<unknown>): Promise<Problem | null> {
  try {
    await read();
    return null;
  } catch (error) {
    return problemOf(error);
  }
}
