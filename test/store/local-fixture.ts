import { existsSync, mkdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openLocalStore } from "../../src/store/local.ts";
import type { StoreFixture } from "./contract.ts";

/** In memory where the machine has that: the contract writes thousands of objects, each with its fsyncs. */
export function memoryDir(): Disposable & { readonly path: string } {
  const parent = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();
  const path = join(parent, `dewy-test-${crypto.randomUUID()}`);
  mkdirSync(path);
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

export function localFixture(dir = memoryDir()): StoreFixture & { readonly directory: string } {
  const store = openLocalStore(dir.path);
  return {
    directory: dir.path,
    store,
    corrupt: async (key) => rot(join(dir.path, key)),
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]();
      dir[Symbol.dispose]();
    },
  };
}

/** As a disk does it: other bytes, and not even the time is another. */
export function rot(path: string): void {
  const { atime, mtime } = statSync(path);
  const bytes = readFileSync(path);
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
  writeFileSync(path, bytes);
  utimesSync(path, atime, mtime);
}
