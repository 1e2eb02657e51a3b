import { readFile, stat, writeFile } from "node:fs/promises";
import { DewyError, toDewyError } from "../errors.ts";
import type { Log } from "../log.ts";
import type { Digest } from "../release/release.ts";
import type { Cache } from "./cache.ts";
import { logDamaged } from "./damage.ts";

interface Entry {
  readonly body: Uint8Array;
  readonly version: number;
  readonly updatedAt: Date;
  /** Of a file, which may make room for others; null of a value. */
  readonly digest: Digest | null;
}

const maxValueBytes = 64 * 1024 * 1024;

/** Artifacts larger than this together are not kept: a miss costs a download, not the host's memory. */
const defaultLimitBytes = 256 * 1024 * 1024;

interface MemoryDeps {
  readonly log: Log;
}

/** Lives and dies with the agent. The oldest artifacts make room for a new one. */
export function openMemoryCache({ log }: MemoryDeps, limitBytes = defaultLimitBytes): Cache {
  const entries = new Map<string, Entry>();
  let writes = 0;
  const store = (key: string, body: Uint8Array, digest: Digest | null): string => {
    const version = ++writes;
    // Behind all others: a map lists its keys in the order they were put in.
    entries.delete(key);
    entries.set(key, { body, version, updatedAt: new Date(), digest });
    return String(version);
  };
  /** undefined: there is none, or none any more. */
  const intact = (key: string): Entry | undefined => {
    const entry = entries.get(key);
    if (entry === undefined || entry.digest === null || entry.digest === digestOf(entry.body)) return entry;
    logDamaged(log, key, `not the bytes that were stored as ${entry.digest}`);
    entries.delete(key);
    return undefined;
  };
  return {
    maxValueBytes,

    async get(key, c) {
      c.signal.throwIfAborted();
      const entry = intact(key);
      return entry === undefined ? null : { body: entry.body.slice(), version: String(entry.version) };
    },

    async compareAndSwap(key, body, expected, c) {
      c.signal.throwIfAborted();
      if (body.length > maxValueBytes) {
        const text = `${key} has ${body.length} bytes; a cached value has at most ${maxValueBytes}`;
        throw new DewyError("bad-answer", text, { retryable: false });
      }
      const stored = entries.get(key);
      if ((stored === undefined ? null : String(stored.version)) !== expected) return null;
      return store(key, body.slice(), null);
    },

    async putFile(key, file, c) {
      c.signal.throwIfAborted();
      try {
        const body = await readIfSmaller(file.path, limitBytes);
        entries.delete(key);
        if (body === null) return;
        makeRoom(entries, limitBytes - body.length);
        store(key, body, file.digest);
      } catch (error) {
        throw toDewyError(error, `keep ${key} in memory`);
      }
    },

    async fetchFile(key, path, c) {
      c.signal.throwIfAborted();
      const entry = intact(key);
      if (entry === undefined) return null;
      try {
        await writeDurable(path, entry.body);
        return entry.digest ?? digestOf(entry.body);
      } catch (error) {
        throw toDewyError(error, `write ${path}`);
      }
    },

    async delete(key, c) {
      c.signal.throwIfAborted();
      entries.delete(key);
    },

    async *list(prefix, c) {
      c.signal.throwIfAborted();
      const found = [...entries]
        .filter(([key]) => key.startsWith(prefix))
        .sort(([a], [b]) => (a < b ? -1 : 1));
      for (const [key, { body, updatedAt }] of found) yield { key, sizeBytes: body.length, updatedAt };
    },

    async [Symbol.asyncDispose]() {
      entries.clear();
    },
  };
}

function digestOf(body: Uint8Array): Digest {
  return `sha256:${Bun.SHA256.hash(body, "hex")}`;
}

async function readIfSmaller(path: string, limitBytes: number): Promise<Uint8Array | null> {
  const { size } = await stat(path);
  return size > limitBytes ? null : readFile(path);
}

async function writeDurable(path: string, body: Uint8Array): Promise<void> {
  await writeFile(path, body, { flag: "wx", flush: true });
}

/** From the oldest on. Values are small, and stay. */
function makeRoom(entries: Map<string, Entry>, forBytes: number): void {
  const files = [...entries].filter(([, { digest }]) => digest !== null);
  let held = files.reduce((sum, [, { body }]) => sum + body.length, 0);
  for (const [key, { body }] of files) {
    if (held <= forBytes) return;
    entries.delete(key);
    held -= body.length;
  }
}
