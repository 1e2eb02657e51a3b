import { describe, expect, test } from "bun:test";
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { openFileCache, parseFileCacheUrl } from "../../src/cache/file.ts";
import { tryLock } from "../../src/util/libc.ts";

import { tempDir } from "../support/temp-dir.ts";
import { until } from "../support/until.ts";
import { cacheContract } from "./contract.ts";

const c = { signal: new AbortController().signal };

cacheContract("file://", async () => {
  const dir = tempDir();
  const cache = openFileCache(dir.path);
  return {
    ...cache,
    async [Symbol.asyncDispose]() {
      await cache[Symbol.asyncDispose]();
      dir[Symbol.dispose]();
    },
  };
});

describe("file cache", () => {
  test("no key ever touches anything outside its directory", async () => {
    using dir = tempDir();
    const inside = join(dir.path, "cache");
    mkdirSync(inside);
    writeFileSync(join(dir.path, "outside"), "untouched");
    const cache = openFileCache(inside);
    for (const key of ["../outside", "..", "/outside", "x/../../outside", ".", ""]) {
      await cache.compareAndSwap(key, new Uint8Array([1]), null, c).catch(() => null);
      await cache.putFile(key, join(dir.path, "outside"), c).catch(() => null);
      await cache.delete(key, c).catch(() => null);
    }
    expect(readdirSync(dir.path).sort()).toEqual(["cache", "outside"]);
    expect(readFileSync(join(dir.path, "outside"), "utf8")).toBe("untouched");
    expect(statSync(inside).isDirectory()).toBe(true);
  });

  test("the Go original finds an artifact by its own name", async () => {
    using dir = tempDir();
    writeFileSync(join(dir.path, "v1.0.0--app_linux_amd64.tar.gz"), "from the original");
    const cache = openFileCache(dir.path);
    const { body } = (await cache.get("v1.0.0--app_linux_amd64.tar.gz", c)) ?? {};
    expect(new TextDecoder().decode(body)).toBe("from the original");
  });

  test("among several processes exactly one creates each key", async () => {
    using dir = tempDir();
    const script = join(import.meta.dir, "../support/cache-writer.ts");
    const children = Array.from({ length: 4 }, () =>
      Bun.spawn([process.execPath, script, dir.path, "key", "40"], { stdout: "pipe", stderr: "inherit" }),
    );
    const won = await Promise.all(
      children.map(async (child): Promise<string[]> => JSON.parse(await child.stdout.text())),
    );
    const all = won.flat();
    expect(all).toHaveLength(40);
    expect(new Set(all).size).toBe(40);
    const cache = openFileCache(dir.path);
    for (const [index, keys] of won.entries()) {
      for (const key of keys) {
        const stored = await cache.get(key, c);
        expect(new TextDecoder().decode(stored?.body)).toBe(String(children[index]?.pid));
      }
    }
  });

  test("waiting for a lock that another process keeps ends when the call does", async () => {
    using dir = tempDir();
    const cache = openFileCache(dir.path);
    const fd = openSync(join(dir.path, ".lock"), "a");
    expect(tryLock(fd)).toBe(true);
    const stop = new AbortController();
    const swap = cache.compareAndSwap("key", new Uint8Array(), null, stop);
    stop.abort(new Error("given up"));
    await expect(swap).rejects.toMatchObject({ message: expect.stringContaining("given up") });
    closeSync(fd);
    expect(await cache.compareAndSwap("key", new Uint8Array(), null, c)).not.toBeNull();
  });

  test("a file is copied where it can't be linked, and is whole before it has its name", async () => {
    using dir = tempDir();
    using elsewhere = otherFileSystem();
    const cache = openFileCache(dir.path);
    const from = join(elsewhere.path, "artifact");
    writeFileSync(from, Buffer.alloc(5_000_000, 1));
    const putting = cache.putFile("key", from, c);
    await putting;
    expect((await cache.get("key", c))?.body).toHaveLength(5_000_000);
    writeFileSync(from, "changed later");
    expect((await cache.get("key", c))?.body).toHaveLength(5_000_000);
    expect(await cache.fetchFile("key", join(elsewhere.path, "out"), c)).toBe(true);
    expect(statSync(join(elsewhere.path, "out")).size).toBe(5_000_000);
    await expect(cache.fetchFile("key", join(elsewhere.path, "out"), c)).rejects.toMatchObject({
      code: "filesystem",
    });
  });

  test("a writer that was killed leaves no key, and what it left is removed at the next start", async () => {
    using dir = tempDir();
    const cache = openFileCache(dir.path);
    const left = `.partial-${await endedPid()}-0b6f`;
    const underWay = `.partial-${process.pid}-1c2d`;
    for (const name of [left, underWay]) writeFileSync(join(dir.path, name), "half an artif");
    expect(await Array.fromAsync(cache.list("", c))).toEqual([]);
    openFileCache(dir.path);
    expect(readdirSync(dir.path)).toEqual([underWay]);
  });

  test("directories, links and names no key has are not listed", async () => {
    using dir = tempDir();
    mkdirSync(join(dir.path, "v1--directory"));
    symlinkSync("nowhere", join(dir.path, "v1--link"));
    writeFileSync(join(dir.path, "v1--half%2"), "");
    writeFileSync(join(dir.path, ".dewy-root"), "");
    writeFileSync(join(dir.path, "v1--file"), "");
    expect(await Array.fromAsync(openFileCache(dir.path).list("", c))).toEqual(["v1--file"]);
  });

  test("a directory that is gone is an error, not a miss written down somewhere else", async () => {
    using dir = tempDir();
    const path = join(dir.path, "cache");
    mkdirSync(path);
    const cache = openFileCache(path);
    rmSync(path, { recursive: true });
    await expect(cache.compareAndSwap("k", new Uint8Array(), null, c)).rejects.toMatchObject({
      code: "filesystem",
    });
    await expect(Array.fromAsync(cache.list("", c))).rejects.toMatchObject({ code: "filesystem" });
    expect(existsSync(path)).toBe(false);
  });

  test.each([
    ["file://", { directory: null, registryTtlMs: null }],
    ["file:///", { directory: null, registryTtlMs: null }],
    ["file:///var/cache/my%20app", { directory: "/var/cache/my app", registryTtlMs: null }],
    ["file://?registry-ttl=1m", { directory: null, registryTtlMs: 60_000 }],
  ])("%s is read", (url, options) => {
    expect(parseFileCacheUrl(new URL(url))).toEqual(options);
  });

  test.each(["file://cache/dir", "file:///dir?ttl=1", "file:///dir?registry-ttl=soon"])(
    "%s is refused",
    (url) => {
      expect(() => parseFileCacheUrl(new URL(url))).toThrow();
    },
  );
});

/** A directory to which no hard link of the temporary directory leads. */
function otherFileSystem(): Disposable & { readonly path: string } {
  const path = join("/dev/shm", `dewy-test-${crypto.randomUUID()}`);
  mkdirSync(path);
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

async function endedPid(): Promise<number> {
  const child = Bun.spawn(["true"]);
  await child.exited;
  await until("the process is gone", () => !existsSync(`/proc/${child.pid}`));
  return child.pid;
}
