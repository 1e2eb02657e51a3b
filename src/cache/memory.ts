import { readFileSync, statSync, writeFileSync } from "node:fs";
import { DewyError, toDewyError } from "../errors.ts";
import { readQuery } from "../util/query.ts";
import type { Cache } from "./cache.ts";

interface Entry {
  readonly body: Uint8Array;
  readonly version: number;
  /** Whether it came by putFile and may make room for others. */
  readonly evictable: boolean;
}

/** Artifacts larger than this together are not kept: a miss costs a download, not the host's memory. */
const maxFileBytes = 256 * 1024 * 1024;

/** `memory://` and nothing more. */
export function parseMemoryUrl(url: URL): void {
  readQuery(url, {});
  if (url.host !== "" || (url.pathname !== "" && url.pathname !== "/")) {
    throw new DewyError("config-invalid", "the memory cache has no address", { hint: "write memory://" });
  }
}

/** Lives and dies with the agent. The oldest artifacts make room for a new one. */
export function openMemoryCache(limitBytes = maxFileBytes): Cache {
  const entries = new Map<string, Entry>();
  let writes = 0;
  return {
    maxValueBytes: 64 * 1024 * 1024,

    async get(key) {
      const entry = entries.get(key);
      return entry === undefined ? null : { body: entry.body.slice(), version: String(entry.version) };
    },

    async compareAndSwap(key, body, expected) {
      const stored = entries.get(key);
      if ((stored === undefined ? null : String(stored.version)) !== expected) return null;
      entries.set(key, { body: body.slice(), version: ++writes, evictable: false });
      return String(writes);
    },

    async putFile(key, path) {
      try {
        const body = readIfSmaller(path, limitBytes);
        entries.delete(key);
        if (body === null) return;
        makeRoom(entries, limitBytes - body.length);
        entries.set(key, { body, version: ++writes, evictable: true });
      } catch (error) {
        throw toDewyError(error, `keep ${key} in memory`);
      }
    },

    async fetchFile(key, path) {
      const entry = entries.get(key);
      if (entry === undefined) return false;
      try {
        writeFileSync(path, entry.body, { flag: "wx" });
        return true;
      } catch (error) {
        throw toDewyError(error, `write ${path}`);
      }
    },

    async delete(key) {
      entries.delete(key);
    },

    async *list(prefix) {
      for (const key of [...entries.keys()].sort()) if (key.startsWith(prefix)) yield key;
    },

    async [Symbol.asyncDispose]() {
      entries.clear();
    },
  };
}

function readIfSmaller(path: string, limitBytes: number): Uint8Array | null {
  return statSync(path).size > limitBytes ? null : readFileSync(path);
}

/** A map lists its keys in the order they were put in. */
function makeRoom(entries: Map<string, Entry>, forBytes: number): void {
  const files = [...entries].filter(([, entry]) => entry.evictable);
  let held = files.reduce((sum, [, { body }]) => sum + body.length, 0);
  for (const [key, { body }] of files) {
    if (held <= forBytes) return;
    entries.delete(key);
    held -= body.length;
  }
}
