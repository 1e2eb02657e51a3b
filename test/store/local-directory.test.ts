import { describe, expect, test } from "bun:test";
import {
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { WriteTimes } from "../../src/store/local/lock.ts";
import { openLocalStore } from "../../src/store/local.ts";
import { tempDir } from "../support/temp-dir.ts";
import { bytes, c, digestOf, list, names, put, read } from "./contract-support.ts";
import { memoryDir } from "./local-fixture.ts";

const hour = 3_600_000;

describe("a directory as a store", () => {
  test("that is missing says so, and is not made by the way", async () => {
    using dir = tempDir();
    const path = join(dir.path, "missing");
    const store = openLocalStore(path);
    const missing = { code: "not-found", retryable: true, hint: expect.stringContaining("mount") };
    await expect(list(store)).rejects.toMatchObject(missing);
    await expect(store.put("key", bytes("x"), {}, c)).rejects.toMatchObject(missing);
    await store.delete("key", c);
    expect(await store.head("key", c)).toBeNull();
    expect(readdirSync(dir.path)).toEqual([]);
  });

  test.each([
    ["plain", "plain"],
    ["a/b.c", "a/b.c"],
    [".hidden", "%2Ehidden"],
    ["a/.b/..c", "a/%2Eb/%2E.c"],
    ["%2Ehidden", "%252Ehidden"],
    ["%25", "%2525"],
    ["%41%2F", "%41%2F"],
    ["100%", "100%"],
  ])("the key %j is the file %s, and the other way round", async (key, file) => {
    using dir = tempDir();
    const store = openLocalStore(dir.path);
    await put(store, key, "content");
    expect(readFileSync(join(dir.path, file), "utf8")).toBe("content");
    expect(await names(store)).toEqual([key]);
  });

  test("holds what anybody puts there; hidden names are work in progress", async () => {
    using dir = tempDir();
    const store = openLocalStore(dir.path);
    mkdirSync(join(dir.path, "v1", ".git"), { recursive: true });
    for (const name of ["v1/app", "v1/.app.part", "v1/.git/config", ".lock"]) {
      writeFileSync(join(dir.path, name), "content");
    }
    expect(await names(store)).toEqual(["v1/app"]);
    expect(await store.head("v1/app", c)).toMatchObject({ sizeBytes: 7, digest: null });
    expect(await store.fetchFile("v1/app", join(dir.path, "out"), c)).toBe(digestOf("content"));
    expect(await store.head("v1/.app.part", c)).toBeNull();
  });

  test("links to files and directories are followed; broken ones, and rings of them, hide nothing", async () => {
    using dir = tempDir();
    using other = tempDir();
    const store = openLocalStore(dir.path);
    mkdirSync(join(other.path, "v2"));
    writeFileSync(join(other.path, "v2", "app"), "linked");
    mkdirSync(join(dir.path, "v1"));
    symlinkSync(join(other.path, "v2"), join(dir.path, "v2"));
    symlinkSync(join(other.path, "v2", "app"), join(dir.path, "v1", "app"));
    symlinkSync("nowhere", join(dir.path, "v1", "broken"));
    symlinkSync("..", join(dir.path, "v1", "ring"));
    symlinkSync("self", join(dir.path, "self"));
    expect(await names(store)).toEqual(["v1/app", "v2/app"]);
    expect(await names(store, "", "/")).toEqual(["v1/…", "v2/…"]);
    expect(await read(store, "v1/app")).toBe("linked");
    expect(await store.fetchFile("v1/app", join(dir.path, "out"), c)).toBe(digestOf("linked"));
    expect(statSync(join(dir.path, "out")).isFile()).toBe(true);
    await put(store, "v1/app", "own");
    expect(readFileSync(join(other.path, "v2", "app"), "utf8")).toBe("linked");
  });

  test("a pipe or a directory of a key's name is no object, and holds nobody up", async () => {
    using dir = tempDir();
    const store = openLocalStore(dir.path);
    Bun.spawnSync(["mkfifo", join(dir.path, "pipe")]);
    mkdirSync(join(dir.path, "directory"));
    for (const key of ["pipe", "directory"]) {
      expect(await store.head(key, c)).toBeNull();
      expect(await store.get(key, null, c)).toBeNull();
      expect(await store.fetchFile(key, join(dir.path, "out"), c)).toBeNull();
      await expect(store.put(key, bytes("x"), { ifVersion: "1:1:1" }, c)).resolves.toBeNull();
    }
    await expect(store.put("directory", bytes("x"), {}, c)).rejects.toMatchObject({ code: "filesystem" });
    await store.delete("directory", c);
    expect(statSync(join(dir.path, "directory")).isDirectory()).toBe(true);
    expect(await names(store)).toEqual([]);
  });

  test("goes by the time a file came here, also when the file has an older one", async () => {
    using dir = tempDir();
    const store = openLocalStore(dir.path);
    writeFileSync(join(dir.path, "copied"), "x");
    utimesSync(join(dir.path, "copied"), new Date(0), new Date(0));
    const { updatedAt } = (await store.head("copied", c)) ?? {};
    expect(Date.now() - (updatedAt?.getTime() ?? 0)).toBeLessThan(60_000);
  });

  test("a file of the same disk is linked in and out; one of another is a copy of its own", async () => {
    using dir = tempDir();
    using elsewhere = memoryDir();
    mkdirSync(join(dir.path, "store"));
    const store = openLocalStore(join(dir.path, "store"));
    for (const [from, linked] of [
      [join(dir.path, "near"), true],
      [join(elsewhere.path, "far"), false],
    ] as const) {
      writeFileSync(from, "content");
      await store.putFile("key", { path: from, digest: digestOf("content") }, c);
      await store.fetchFile("key", `${from}-out`, c);
      const stored = statSync(join(dir.path, "store", "key"));
      expect([statSync(from).ino === stored.ino, statSync(`${from}-out`).ino === stored.ino]).toEqual([
        linked,
        linked,
      ]);
    }
    writeFileSync(join(elsewhere.path, "far"), "changed later");
    expect(await read(store, "key")).toBe("content");
  });

  test("a copy that is not what was announced is not stored", async () => {
    using dir = tempDir();
    using elsewhere = memoryDir();
    const store = openLocalStore(dir.path);
    const path = join(elsewhere.path, "file");
    writeFileSync(path, "changed meanwhile");
    const putting = store.putFile("key", { path, digest: digestOf("as it was") }, c);
    await expect(putting).rejects.toMatchObject({ code: "filesystem", retryable: false });
    expect(readdirSync(dir.path)).toEqual([]);
  });

  test("names as long as names can be have digests too", async () => {
    using dir = tempDir();
    const store = openLocalStore(dir.path);
    const path = join(dir.path, "in");
    writeFileSync(path, "content");
    for (const length of [241, 255]) {
      await store.putFile("k".repeat(length), { path, digest: digestOf("content") }, c);
      expect(await store.head("k".repeat(length), c)).toMatchObject({ digest: digestOf("content") });
    }
    expect(await store.head("k".repeat(256), c)).toBeNull();
    await expect(store.put("k".repeat(256), bytes("x"), {}, c)).rejects.toMatchObject({ code: "filesystem" });
  });
});

describe("versions of files", () => {
  test("go on from a time in the future: a clock that is set back does not repeat one", async () => {
    using dir = tempDir();
    const store = openLocalStore(dir.path);
    await put(store, "key", "same");
    utimesSync(join(dir.path, "key"), new Date(), new Date(Date.now() + hour));
    const ahead = (await store.head("key", c))?.updatedAt ?? new Date(0);
    await put(store, "key", "same");
    const next = (await store.head("key", c))?.updatedAt ?? new Date(0);
    expect(next.getTime()).toBeGreaterThanOrEqual(ahead.getTime());
    await store.delete("key", c);
    await put(store, "key", "same");
    expect((await store.head("key", c))?.updatedAt.getTime()).toBeGreaterThanOrEqual(next.getTime());
  });

  test("are another one each time, however fast and by however many stores they are written", async () => {
    using dir = memoryDir();
    const stores = [openLocalStore(dir.path), openLocalStore(dir.path)];
    const seen: string[] = [];
    const write = async (index: number) => {
      const store = stores[index % 2];
      if (store === undefined) return;
      for (let round = 0; round < 100; round++) {
        seen.push(await put(store, "key", "same"));
        if (round % 10 === 0) await store.delete("key", c);
      }
    };
    await Promise.all([0, 1, 2, 3].map(write));
    expect(new Set(seen).size).toBe(400);
  });

  test.each([1_000n, 1_000_000n, 1_000_000_000n, 2_000_000_000n])(
    "are another one each time where times are kept in steps of %d ns",
    async (granularityNs) => {
      using dir = tempDir();
      await using lock = await open(join(dir.path, "lock"), "w");
      let mtimeNs = 0n;
      const file = {
        async utimes(_: number, seconds: number) {
          const ns = BigInt(Math.round(seconds * 1e6)) * 1000n;
          mtimeNs = ns - (ns % granularityNs);
        },
        stat: async () => ({ mtimeNs }),
      };
      for (let write = 0, before = 0n; write < 5; write++, before = mtimeNs) {
        await new WriteTimes(lock, before).stamp(file, 0n);
        expect(mtimeNs).toBeGreaterThan(before);
      }
    },
  );

  test("a file under two keys has, under each, the digest that was said", async () => {
    using dir = tempDir();
    const store = openLocalStore(dir.path);
    writeFileSync(join(dir.path, ".in"), "content");
    const file = { path: join(dir.path, ".in"), digest: digestOf("content") };
    for (const key of ["one", "two", "one"]) await store.putFile(key, file, c);
    for (const key of ["one", "two"]) expect((await store.head(key, c))?.digest).toBe(file.digest);
  });
});

describe("what a crash leaves", () => {
  test.each<[string, (path: string) => void]>([
    ["without its digest", (path) => rmSync(join(path, ".key.sha256"))],
    ["with half a digest", (path) => writeFileSync(join(path, ".key.sha256"), "sha256:0123")],
    ["with an empty one", (path) => writeFileSync(join(path, ".key.sha256"), "")],
    [
      "replaced by somebody else, beside the old one's digest",
      (path) => {
        linkSync(join(path, "key"), join(path, ".kept"));
        writeFileSync(join(path, ".new"), "other!!");
        renameSync(join(path, ".new"), join(path, "key"));
      },
    ],
  ])("an object %s is one of which nobody said a digest", async (_, damage) => {
    using dir = tempDir();
    using work = tempDir();
    const store = openLocalStore(dir.path);
    const path = join(work.path, "in");
    writeFileSync(path, "content");
    await store.putFile("key", { path, digest: digestOf("content") }, c);
    expect((await store.head("key", c))?.digest).toBe(digestOf("content"));
    damage(dir.path);
    expect((await store.head("key", c))?.digest).toBeNull();
    const content = readFileSync(join(dir.path, "key"));
    expect(await store.fetchFile("key", join(work.path, "out"), c)).toBe(digestOf(content));
  });

  test("the digest of an object that is gone is not the next one's, even where that gets its inode", async () => {
    using dir = memoryDir();
    const store = openLocalStore(dir.path);
    writeFileSync(join(dir.path, ".in"), "content");
    await store.putFile("key", { path: join(dir.path, ".in"), digest: digestOf("content") }, c);
    const { ino } = statSync(join(dir.path, "key"));
    await put(store, "key", "bytes");
    writeFileSync(join(dir.path, ".key.sha256"), `${digestOf("content")} ${ino}\n`);
    expect((await store.head("key", c))?.digest).toBeNull();
    await put(store, "key", "again");
    expect(readdirSync(dir.path).sort()).toEqual([".in", ".lock", "key"]);
  });
});
