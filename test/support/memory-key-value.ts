import type { KeyValue } from "../../src/cache/key-value.ts";
import { stamp, unstamp } from "../../src/cache/stamp.ts";

export type Operation =
  | { readonly verb: "get" | "set" | "deleteVersion"; readonly key: string }
  | { readonly verb: "delete"; readonly keys: readonly string[] }
  | { readonly verb: "list"; readonly prefix: string };

/** A service in memory whose every operation can be looked at, held up or refused before it happens. */
export interface MemoryKeyValue extends KeyValue {
  readonly values: Map<string, Uint8Array>;
  /** Called before each operation; what it throws is the operation's error. */
  before: (operation: Operation) => void | Promise<void>;
}

export function memoryKeyValue(
  options: { readonly ttlMs?: number; readonly maxValueBytes?: number } = {},
  values = new Map<string, Uint8Array>(),
): MemoryKeyValue {
  const versionAt = (key: string) => {
    const value = values.get(key);
    return value === undefined ? null : unstamp(value).version;
  };
  const kv: MemoryKeyValue = {
    values,
    before: () => {},
    maxValueBytes: options.maxValueBytes ?? 1_000_000,
    ttlMs: options.ttlMs ?? null,
    async get(key, _, c) {
      c.signal.throwIfAborted();
      await kv.before({ verb: "get", key });
      const value = values.get(key);
      return value === undefined ? null : unstamp(value.slice());
    },
    async set(key, body, { expected }, c) {
      c.signal.throwIfAborted();
      if (body.length > kv.maxValueBytes) throw new Error(`${key}: ${body.length} bytes`);
      const { value, version } = stamp(body);
      await kv.before({ verb: "set", key });
      if (expected !== undefined && versionAt(key) !== expected) return null;
      values.set(key, value);
      return version;
    },
    async delete(keys, c) {
      c.signal.throwIfAborted();
      await kv.before({ verb: "delete", keys });
      for (const key of keys) values.delete(key);
    },
    async deleteVersion(key, version, c) {
      c.signal.throwIfAborted();
      await kv.before({ verb: "deleteVersion", key });
      return versionAt(key) === version && values.delete(key);
    },
    async *list(prefix, c) {
      c.signal.throwIfAborted();
      await kv.before({ verb: "list", prefix });
      // In no order, as services may.
      for (const key of [...values.keys()].reverse()) if (key.startsWith(prefix)) yield key;
    },
    async [Symbol.asyncDispose]() {},
  };
  return kv;
}
