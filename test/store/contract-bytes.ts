import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { tempDir } from "../support/temp-dir.ts";
import type { StoreFixture } from "./contract.ts";
import {
  aborted,
  awkwardKeys,
  byBytes,
  bytes,
  c,
  get,
  list,
  names,
  put,
  read,
  textOf,
} from "./contract-support.ts";

/** Small objects: there, not there, empty, under any name, read from anywhere. */
export function bytesContract(name: string, open: () => Promise<StoreFixture>): void {
  describe(`${name} as a store of bytes`, () => {
    test("a key that was never written is absent in every way", async () => {
      await using fixture = await open();
      using dir = tempDir();
      const { store } = fixture;
      const path = join(dir.path, "file");
      expect(await store.head("missing", c)).toBeNull();
      expect(await store.get("missing", null, c)).toBeNull();
      expect(await store.get("missing", { offset: 3, validator: "some-version" }, c)).toBeNull();
      expect(await store.fetchFile("missing", path, c)).toBeNull();
      expect(existsSync(path)).toBe(false);
      await store.delete("missing", c);
      expect(await list(store)).toEqual([]);
      expect(await list(store, "missing/", "/")).toEqual([]);
    });

    test("what begins like a key, or goes on after it, is another one", async () => {
      await using fixture = await open();
      const { store } = fixture;
      await put(store, "dir/file", "x");
      for (const key of ["dir", "dir/fil", "dir/file2", "dir/file/more"]) {
        expect(await store.head(key, c)).toBeNull();
        expect(await store.get(key, null, c)).toBeNull();
        await store.delete(key, c);
      }
      expect(await read(store, "dir/file")).toBe("x");
    });

    test("bytes go in and come out, and are the same in head, get and list", async () => {
      await using fixture = await open();
      const { store } = fixture;
      const version = await put(store, "a/key", "content");
      const head = await store.head("a/key", c);
      expect(head).toMatchObject({ key: "a/key", sizeBytes: 7, version });
      const got = await get(store, "a/key");
      expect(got).toMatchObject({
        key: "a/key",
        sizeBytes: 7,
        version,
        offset: 0,
        digest: head?.digest ?? null,
      });
      expect(await textOf(got)).toBe("content");
      expect(await list(store)).toEqual([
        { kind: "object", key: "a/key", sizeBytes: 7, version, updatedAt: expect.any(Date) },
      ]);
    });

    test("everybody tells the same time of writing, and it is now", async () => {
      await using fixture = await open();
      const { store } = fixture;
      await put(store, "key", "content");
      const [entry] = await list(store);
      const got = await get(store, "key");
      await textOf(got);
      const times = [(await store.head("key", c))?.updatedAt, got.updatedAt];
      if (entry?.kind === "object") times.push(entry.updatedAt);
      expect(times).toHaveLength(3);
      // Some answers hold whole seconds only.
      for (const time of times) expect(Math.abs((time?.getTime() ?? 0) - Date.now())).toBeLessThan(60_000);
      const all = times.map((time) => time?.getTime() ?? 0);
      expect(Math.max(...all) - Math.min(...all)).toBeLessThan(1001);
    });

    test("deleted is as never written, also when it is done twice", async () => {
      await using fixture = await open();
      const { store } = fixture;
      await put(store, "dir/key", "content");
      await put(store, "dir/kept", "content");
      await store.delete("dir/key", c);
      await store.delete("dir/key", c);
      expect(await store.head("dir/key", c)).toBeNull();
      expect(await store.get("dir/key", null, c)).toBeNull();
      expect(await names(store)).toEqual(["dir/kept"]);
      await store.delete("dir/kept", c);
      expect(await names(store, "", "/")).toEqual([]);
      await put(store, "dir/key", "again");
      expect(await read(store, "dir/key")).toBe("again");
    });

    test("an empty object is an object", async () => {
      await using fixture = await open();
      const { store } = fixture;
      const version = await put(store, "empty", "");
      expect(await store.head("empty", c)).toMatchObject({ sizeBytes: 0, version });
      expect(await read(store, "empty")).toBe("");
      expect(await list(store)).toMatchObject([{ key: "empty", sizeBytes: 0 }]);
      const resumed = await get(store, "empty", { offset: 0, validator: version });
      expect(resumed).toMatchObject({ offset: 0, sizeBytes: 0, version });
      expect(await textOf(resumed)).toBe("");
    });

    test("what was given to put may change afterwards", async () => {
      await using fixture = await open();
      const body = bytes("content");
      await put(fixture.store, "key", body);
      body.fill(0);
      expect(await read(fixture.store, "key")).toBe("content");
    });

    test.each([
      ["the middle", 4, "456789"],
      ["the last byte", 9, "9"],
      ["the end", 10, ""],
      ["the beginning", 0, "0123456789"],
    ])("the same content is read on from %s", async (_, offset, rest) => {
      await using fixture = await open();
      const version = await put(fixture.store, "key", "0123456789");
      const resumed = await get(fixture.store, "key", { offset, validator: version });
      expect(resumed).toMatchObject({ offset, sizeBytes: 10, version });
      expect(await textOf(resumed)).toBe(rest);
    });

    test("other content is read from its beginning", async () => {
      await using fixture = await open();
      const validator = await put(fixture.store, "key", "0123456789");
      const version = await put(fixture.store, "key", "abcdefghij");
      for (const offset of [4, 10]) {
        const whole = await get(fixture.store, "key", { offset, validator });
        expect(whole).toMatchObject({ offset: 0, sizeBytes: 10, version });
        expect(await textOf(whole)).toBe("abcdefghij");
      }
      const shorter = await put(fixture.store, "key", "abc");
      const whole = await get(fixture.store, "key", { offset: 7, validator: version });
      expect(whole).toMatchObject({ offset: 0, sizeBytes: 3, version: shorter });
      expect(await textOf(whole)).toBe("abc");
    });

    test("a reader that stops early, or never begins, does no harm", async () => {
      await using fixture = await open();
      const { store } = fixture;
      await put(store, "key", new Uint8Array(5_000_000).fill(7));
      for await (const chunk of (await get(store, "key")).chunks) {
        expect(chunk[0]).toBe(7);
        break;
      }
      const { chunks } = await get(store, "key");
      await chunks[Symbol.asyncIterator]().return?.();
      expect(await store.head("key", c)).toMatchObject({ sizeBytes: 5_000_000 });
    });

    test("a chunk that was read is still right after the next one", async () => {
      await using fixture = await open();
      const body = Buffer.concat([1, 2, 3].map((value) => Buffer.alloc(1_500_000, value)));
      await put(fixture.store, "key", body);
      const chunks = await Array.fromAsync((await get(fixture.store, "key")).chunks);
      let at = 0;
      for (const chunk of chunks) {
        expect(chunk[0]).toBe(body[at] ?? -1);
        expect(chunk.at(-1)).toBe(body[at + chunk.length - 1] ?? -1);
        at += chunk.length;
      }
      expect(at).toBe(body.length);
    });

    test.each(awkwardKeys.map((key) => [JSON.stringify(key), key] as const))(
      "the key %s round-trips",
      async (_, key) => {
        await using fixture = await open();
        const { store } = fixture;
        const version = await put(store, key, "value", { ifVersion: null });
        expect(await store.head(key, c)).toMatchObject({ key, version });
        expect(await read(store, key)).toBe("value");
        expect(await names(store)).toEqual([key]);
        expect(await names(store, key)).toEqual([key]);
        await store.delete(key, c);
        expect(await list(store)).toEqual([]);
      },
    );

    test("awkward keys don't fall together", async () => {
      await using fixture = await open();
      const { store } = fixture;
      for (const key of awkwardKeys) await put(store, key, key);
      expect(await names(store)).toEqual(awkwardKeys.toSorted(byBytes));
      for (const key of awkwardKeys) expect(await read(store, key)).toBe(key);
    });

    test.each([
      "",
      "/",
      ".",
      "..",
      "/absolute",
      "trailing/",
      "a//b",
      "a/./b",
      "../outside",
      "a/../b",
      "a/..",
      "nul\0",
    ])("%j is no key", async (key) => {
      await using fixture = await open();
      const { store } = fixture;
      await expect(store.head(key, c)).rejects.toThrow("is no key");
      await expect(store.get(key, null, c)).rejects.toThrow("is no key");
      await expect(store.put(key, bytes("x"), {}, c)).rejects.toThrow("is no key");
      await expect(store.delete(key, c)).rejects.toThrow("is no key");
      expect(await list(store)).toEqual([]);
    });

    test("a stopped call does nothing and rejects with the reason it was stopped for", async () => {
      await using fixture = await open();
      const { store } = fixture;
      await put(store, "key", "content");
      const { signal, reason } = aborted();
      await expect(store.head("key", { signal })).rejects.toBe(reason);
      await expect(store.get("key", null, { signal })).rejects.toBe(reason);
      await expect(store.put("key", bytes("other"), {}, { signal })).rejects.toBe(reason);
      await expect(store.delete("key", { signal })).rejects.toBe(reason);
      await expect(Array.fromAsync(store.list("", {}, { signal }))).rejects.toBe(reason);
      expect(await read(store, "key")).toBe("content");
    });

    test("reading ends when the call does", async () => {
      await using fixture = await open();
      await put(fixture.store, "key", new Uint8Array(20 * 1024 * 1024));
      const stop = new AbortController();
      const reason = new Error("stop");
      const found = await fixture.store.get("key", null, stop);
      const readAll = async () => {
        for await (const _ of found?.chunks ?? []) stop.abort(reason);
      };
      await expect(readAll()).rejects.toBe(reason);
    });
  });
}
