import {
  closeSync,
  constants,
  copyFileSync,
  fsyncSync,
  linkSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { DewyError, systemCode, toDewyError } from "../errors.ts";
import type { Call } from "../util/async.ts";
import { fsyncDirectory, partialPath, removePartials, writeFileAtomic } from "../util/fs.ts";
import { tryLock } from "../util/libc.ts";
import { duration, readQuery } from "../util/query.ts";
import { systemClock } from "../util/time.ts";
import type { Cache, Version } from "./cache.ts";
import { fileNameOf, keyOf } from "./key.ts";

interface FileCacheUrl {
  /** null: the agent's cache directory. */
  readonly directory: string | null;
  /** Without effect here; accepted because the original accepts it. */
  readonly registryTtlMs: number | null;
}

/** `file://` or `file:///dir`, `?registry-ttl=`. */
export function parseFileCacheUrl(url: URL): FileCacheUrl {
  if (url.host !== "") {
    throw new DewyError("config-invalid", "the cache URL does not name an absolute directory", {
      hint: "write file:///var/cache/dewy, with three slashes, or just file",
    });
  }
  const query = readQuery(url, { "registry-ttl": duration });
  const named = url.pathname !== "" && url.pathname !== "/";
  const directory = named ? fileURLToPath(new URL(url.pathname, "file://")) : null;
  return { directory, registryTtlMs: query["registry-ttl"] };
}

/** A directory of files, one a key: `{tag}--{file}` for artifacts, as the Go original lays it out. */
export function openFileCache(directory: string): Cache {
  removePartials(directory);
  const pathOf = (key: string) => join(directory, fileNameOf(key));
  /** `fill` makes the file under another name, so that under its own it is whole. */
  const store = (key: string, fill: (partial: string) => void): void => {
    const partial = partialPath(pathOf(key));
    try {
      fill(partial);
      renameSync(partial, pathOf(key));
      fsyncDirectory(directory);
    } finally {
      rmSync(partial, { force: true });
    }
  };
  return {
    maxValueBytes: 64 * 1024 * 1024,

    async get(key) {
      return guard(`read ${key} from the cache`, async () => {
        const body = readIfThere(pathOf(key));
        return body === null ? null : { body, version: versionOf(body) };
      });
    },

    async compareAndSwap(key, body, expected, c) {
      return guard(`write ${key} to the cache`, async () => {
        using _ = await lock(join(directory, ".lock"), c);
        const stored = readIfThere(pathOf(key));
        if ((stored === null ? null : versionOf(stored)) !== expected) return null;
        store(key, (partial) => writeFileAtomic(partial, body));
        return versionOf(body);
      });
    },

    async putFile(key, path) {
      await guard(`write ${key} to the cache`, async () =>
        store(key, (partial) => linkOrCopy(path, partial)),
      );
    },

    async fetchFile(key, path) {
      return guard(`read ${key} from the cache`, async () => {
        try {
          linkOrCopy(pathOf(key), path);
          return true;
        } catch (error) {
          if (systemCode(error) === "ENOENT") return false;
          throw error;
        }
      });
    },

    async delete(key) {
      await guard(`delete ${key} from the cache`, async () => rmSync(pathOf(key), { force: true }));
    },

    async *list(prefix) {
      const entries = await guard("list the cache", async () =>
        readdirSync(directory, { withFileTypes: true }),
      );
      const keys = entries.map((entry) => (entry.isFile() ? keyOf(entry.name) : null));
      for (const key of keys.filter((name) => name !== null).sort()) if (key.startsWith(prefix)) yield key;
    },

    async [Symbol.asyncDispose]() {},
  };
}

async function guard<T>(doing: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw toDewyError(error, doing);
  }
}

/** Version = content: two writers of the same bytes agree, whoever came first. */
function versionOf(body: Uint8Array): Version {
  return Bun.SHA256.hash(body, "hex");
}

function readIfThere(path: string): Uint8Array | null {
  try {
    return readFileSync(path);
  } catch (error) {
    if (systemCode(error) === "ENOENT") return null;
    throw error;
  }
}

/** A link costs nothing, but needs the same file system; a copy is made durable before it is seen. */
function linkOrCopy(from: string, to: string): void {
  try {
    linkSync(from, to);
    return;
  } catch (error) {
    if (systemCode(error) === "ENOENT" || systemCode(error) === "EEXIST") throw error;
  }
  copyFileSync(from, to, constants.COPYFILE_EXCL);
  const fd = openSync(to, "r+");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Held for the few system calls of one swap. A holder that hangs must not hang everybody: `c` ends the wait. */
async function lock(path: string, c: Call): Promise<Disposable> {
  const fd = openSync(path, "a");
  try {
    while (!tryLock(fd)) await systemClock.sleep(2, c.signal);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  return { [Symbol.dispose]: () => closeSync(fd) };
}
