import { describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { openObjectCache } from "../../src/cache/object.ts";
import { openLocalStore } from "../../src/store/local.ts";
import type { ObjectStore } from "../../src/store/store.ts";
import { localFixture } from "../store/local-fixture.ts";
import { recordingLog } from "../support/recording.ts";
import { tempDir } from "../support/temp-dir.ts";
import { cacheContract } from "./contract.ts";
import { objectCacheFixture } from "./object-fixture.ts";

const c = { signal: new AbortController().signal };

cacheContract("file://", async () => objectCacheFixture(localFixture()));

describe("a cache in a directory", () => {
  test("no key ever touches anything outside its directory", async () => {
    using dir = tempDir();
    const inside = join(dir.path, "cache");
    mkdirSync(inside);
    writeFileSync(join(dir.path, "outside"), "untouched");
    const { cache } = open(inside);
    for (const key of ["../outside", "..", "/outside", "x/../../outside", ".", ""]) {
      await cache.compareAndSwap(key, new Uint8Array([1]), null, c).catch(() => null);
      await cache.putFile(key, fileOf(join(dir.path, "source"), "x"), c).catch(() => null);
      await cache.delete(key, c).catch(() => null);
    }
    expect(readdirSync(dir.path).sort()).toEqual(["cache", "outside", "source"]);
    expect(readFileSync(join(dir.path, "outside"), "utf8")).toBe("untouched");
    expect(statSync(inside).isDirectory()).toBe(true);
  });

  test("the Go original finds an artifact by its own name, and the other way round", async () => {
    using dir = tempDir();
    const { cache } = open(dir.path);
    writeFileSync(join(dir.path, "v1.0.0--app_linux_amd64.tar.gz"), "from the original");
    const digest = `sha256:${Bun.SHA256.hash("from the original", "hex")}`;
    expect(await cache.fetchFile("v1.0.0--app_linux_amd64.tar.gz", join(dir.path, "out"), c)).toBe(
      digest as `sha256:${string}`,
    );
    await cache.putFile("v1.1.0--app.zip", fileOf(join(dir.path, "in"), "from dewy"), c);
    expect(readFileSync(join(dir.path, "v1.1.0--app.zip"), "utf8")).toBe("from dewy");
  });

  test("an artifact that the original stores anew is good, not damaged", async () => {
    using dir = tempDir();
    const { cache, log } = open(dir.path);
    await cache.putFile("v1--app.zip", fileOf(join(dir.path, "in"), "old bytes"), c);
    writeFileSync(join(dir.path, "other"), "new bytes");
    rmSync(join(dir.path, "v1--app.zip"));
    // The same inode may be given again: so by a link to another file.
    symlinkSync("other", join(dir.path, "v1--app.zip"));
    expect(await cache.fetchFile("v1--app.zip", join(dir.path, "out"), c)).not.toBeNull();
    expect(readFileSync(join(dir.path, "out"), "utf8")).toBe("new bytes");
    expect(log.records).toEqual([]);
  });

  test("an artifact that was cut short or written to is dropped", async () => {
    using dir = tempDir();
    const { cache, log } = open(dir.path);
    const damages = [
      (path: string) => truncateSync(path, 3),
      (path: string) => writeFileSync(path, "other content"),
    ];
    for (const damage of damages) {
      const source = fileOf(join(dir.path, "in"), "content");
      await cache.putFile("v1--app.zip", source, c);
      damage(join(dir.path, "v1--app.zip"));
      rmSync(source.path);
      expect(await cache.fetchFile("v1--app.zip", join(dir.path, "out"), c)).toBeNull();
      expect(existsSync(join(dir.path, "v1--app.zip"))).toBe(false);
    }
    expect(log.at("warn")).toHaveLength(2);
  });

  test("a damaged entry that was repaired meanwhile is not dropped", async () => {
    using dir = tempDir();
    const fixture = localFixture();
    await using _ = fixture;
    const { store } = fixture;
    await store.putFile("key", fileOf(join(dir.path, "bad"), "content"), c);
    await fixture.corrupt("key");
    const repairing: ObjectStore = {
      ...store,
      async fetchFile(...call) {
        try {
          return await store.fetchFile(...call);
        } finally {
          await store.putFile("key", fileOf(join(dir.path, "good"), "content"), c);
        }
      },
    };
    const cache = openObjectCache(repairing, { log: recordingLog() });
    expect(await cache.fetchFile("key", join(dir.path, "out"), c)).toBeNull();
    expect(await store.head("key", c)).not.toBeNull();
  });

  test("an object larger than a value is none", async () => {
    await using fixture = localFixture();
    writeFileSync(join(fixture.directory, "large"), "");
    truncateSync(join(fixture.directory, "large"), 64 * 1024 * 1024 + 1);
    const cache = openObjectCache(fixture.store, { log: recordingLog() });
    await expect(cache.get("large", c)).rejects.toThrow("large has 67108865 bytes");
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
    const { cache } = open(dir.path);
    for (const [index, keys] of won.entries()) {
      for (const key of keys) {
        const stored = await cache.get(key, c);
        expect(new TextDecoder().decode(stored?.body)).toBe(String(children[index]?.pid));
      }
    }
  });

  test("only files that keys have are listed", async () => {
    using dir = tempDir();
    mkdirSync(join(dir.path, "v1--directory"));
    writeFileSync(join(dir.path, "v1--directory", "file"), "");
    symlinkSync("nowhere", join(dir.path, "v1--link"));
    for (const name of ["v1--half%2", ".dewy-root", ".lock", ".v1--file.sha256", "v1--file"]) {
      writeFileSync(join(dir.path, name), "");
    }
    const entries = await Array.fromAsync(open(dir.path).cache.list("", c));
    expect(entries.map(({ key }) => key)).toEqual(["v1--file"]);
  });

  test("a directory that is gone is an error, not a miss written down somewhere else", async () => {
    using dir = tempDir();
    const path = join(dir.path, "cache");
    mkdirSync(path);
    const { cache } = open(path);
    rmSync(path, { recursive: true });
    const gone = { code: "not-found", hint: expect.stringContaining("mount") };
    await expect(cache.compareAndSwap("k", new Uint8Array(), null, c)).rejects.toMatchObject(gone);
    await expect(Array.fromAsync(cache.list("", c))).rejects.toMatchObject(gone);
    expect(existsSync(path)).toBe(false);
  });
});

function open(directory: string) {
  const log = recordingLog();
  return { log, cache: openObjectCache(openLocalStore(directory), { log }) };
}

function fileOf(path: string, content: string) {
  writeFileSync(path, content);
  return { path, digest: `sha256:${Bun.SHA256.hash(content, "hex")}` as const };
}
