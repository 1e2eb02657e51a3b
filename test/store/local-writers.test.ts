import { describe, expect, test } from "bun:test";
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openLocalStore } from "../../src/store/local.ts";
import { tryLock } from "../../src/util/libc.ts";
import { tempDir } from "../support/temp-dir.ts";
import { mountTmpfs } from "../support/tmpfs.ts";
import { until } from "../support/until.ts";
import { bytes, c, digestOf, get, names, put, read, textOf } from "./contract-support.ts";
import { memoryDir } from "./local-fixture.ts";

describe("writers of one directory", () => {
  test("waiting for a lock that another process keeps ends when the call does, and holds up no reader", async () => {
    using dir = tempDir();
    const store = openLocalStore(dir.path);
    await put(store, "other", "readable");
    const fd = openSync(join(dir.path, ".lock"), "a");
    expect(tryLock(fd)).toBe(true);
    const stop = new AbortController();
    const reason = new Error("stop");
    const writes = ["key", "key-2"].map((key) => store.put(key, bytes("x"), {}, stop));
    expect(await read(store, "other")).toBe("readable");
    setTimeout(() => stop.abort(reason), 20);
    const failures = await Promise.all(writes.map((write) => write.catch((error: unknown) => error)));
    expect(failures).toEqual([reason, reason]);
    expect(await names(store)).toEqual(["other"]);
    closeSync(fd);
    await put(store, "key", "x");
    expect(readdirSync(dir.path).sort()).toEqual([".lock", "key", "other"]);
  });

  test("directories that come and go with their only object make no write fail", async () => {
    using dir = memoryDir();
    const stores = [openLocalStore(dir.path), openLocalStore(dir.path)] as const;
    const work = async (store: (typeof stores)[number], key: string) => {
      for (let round = 0; round < 40; round++) {
        await put(store, key, "x");
        await store.delete(key, c);
      }
    };
    await Promise.all([work(stores[0], "d/e/a"), work(stores[1], "d/e/b"), work(stores[1], "d/c")]);
    expect(readdirSync(dir.path)).toEqual([".lock"]);
  });

  test("readers see one whole object or the other, with its own digest", async () => {
    using dir = memoryDir();
    using work = tempDir();
    const store = openLocalStore(dir.path);
    const contents = ["a", "b", "c"].map((letter) => letter.repeat(300_000));
    const files = contents.map((content) => {
      const path = join(work.path, content.slice(0, 1));
      writeFileSync(path, content);
      return { path, digest: digestOf(content) };
    });
    let writing = true;
    const write = async () => {
      for (let round = 0; round < 60; round++) {
        const file = files[round % files.length];
        if (file !== undefined) await store.putFile("key", file, c);
      }
      writing = false;
    };
    const read = async (reader: number) => {
      for (let round = 0; writing; round++) {
        const found = await store.get("key", null, c);
        if (found !== null) expect(contents).toContain(await textOf(found));
        const out = join(reader % 2 === 0 ? work.path : dir.path, `.out-${reader}-${round}`);
        const digest = await store.fetchFile("key", out, c);
        if (digest !== null) expect(files.map((file) => file.digest)).toContain(digest);
      }
    };
    await Promise.all([write(), read(0), read(1)]);
    expect(digestOf(await textOf(await get(store, "key")))).toBe(files[2]?.digest ?? `sha256:`);
  });

  test("what killed writers left is removed by the next, what others are at is not", async () => {
    using dir = tempDir();
    const store = openLocalStore(dir.path);
    await put(store, "key", "x");
    const own = await ownPartial(dir.path);
    const ended = own.replace(`-${process.pid}-`, `-${await endedPid()}-`);
    const elsewhere = ended.replace(/-x[0-9a-f]{8}-/, "-x01234567-");
    for (const name of [own, ended, elsewhere]) writeFileSync(join(dir.path, name), "half an artif");
    expect(await names(store)).toEqual(["key"]);
    await put(openLocalStore(dir.path), "key", "y");
    expect(readdirSync(dir.path).sort()).toEqual([".lock", own, elsewhere, "key"].sort());
  });
});

describe("a directory that may not be written", () => {
  test("is read as any other", async () => {
    using dir = tempDir();
    await using disk = mountTmpfs(dir.path, "size=1m");
    const store = openLocalStore(dir.path);
    writeFileSync(join(dir.path, "key"), "content");
    disk.remount("ro");
    expect(await store.head("key", c)).toMatchObject({ sizeBytes: 7 });
    expect(await read(store, "key")).toBe("content");
    expect(await names(store)).toEqual(["key"]);
    const refused = { code: "filesystem", cause: { code: "EROFS" } };
    await expect(store.put("key", bytes("x"), {}, c)).rejects.toMatchObject(refused);
    await expect(store.put("new", bytes("x"), { ifVersion: null }, c)).rejects.toMatchObject(refused);
    await expect(store.delete("key", c)).rejects.toMatchObject(refused);
  });

  test("takes new objects in those of its directories that may", async () => {
    using dir = tempDir();
    await using disk = mountTmpfs(dir.path, "size=1m");
    mkdirSync(join(dir.path, "v1"));
    await using _ = mountTmpfs(join(dir.path, "v1"), "size=1m");
    disk.remount("ro");
    const store = openLocalStore(dir.path);
    const version = await put(store, "v1/report", "x", { ifVersion: null });
    expect(await store.put("v1/report", bytes("y"), { ifVersion: null }, c)).toBeNull();
    await expect(store.put("v1/report", bytes("y"), { ifVersion: version }, c)).rejects.toMatchObject({
      code: "filesystem",
    });
    expect(await read(store, "v1/report")).toBe("x");
  });

  test("a full one says so, and leaves nothing behind", async () => {
    using dir = tempDir();
    await using _ = mountTmpfs(dir.path, "size=256k");
    const store = openLocalStore(dir.path);
    await put(store, "key", "old");
    const large = new Uint8Array(1_000_000);
    await expect(store.put("key", large, {}, c)).rejects.toMatchObject({ code: "disk-full" });
    expect(await read(store, "key")).toBe("old");
    expect(readdirSync(dir.path).sort()).toEqual([".lock", "key"]);
  });
});

/** What a write under way is called, seen while it waits for the lock. */
async function ownPartial(directory: string): Promise<string> {
  const fd = openSync(join(directory, ".lock"), "a");
  tryLock(fd);
  const writing = put(openLocalStore(directory), "key", "x");
  const name = await until("a write is under way", () =>
    readdirSync(directory).find((entry) => entry.startsWith(".partial-")),
  );
  closeSync(fd);
  await writing;
  return name;
}

async function endedPid(): Promise<number> {
  const child = Bun.spawn(["true"]);
  await child.exited;
  await until("the process is gone", () => !existsSync(`/proc/${child.pid}`));
  return child.pid;
}
