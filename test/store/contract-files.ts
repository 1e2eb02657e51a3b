import { describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { LocalFile } from "../../src/store/store.ts";
import { tempDir } from "../support/temp-dir.ts";
import type { StoreFixture } from "./contract.ts";
import { aborted, c, digestOf, get, list, put, read, textOf } from "./contract-support.ts";

const largeBytes = 20 * 1024 * 1024;

/** Files of any size on their way in and out. */
export function filesContract(name: string, open: () => Promise<StoreFixture>): void {
  describe(`${name} as a store of files`, () => {
    test("a file goes in and comes out, also after the file that was put is gone", async () => {
      await using fixture = await open();
      using dir = workDir();
      const { store } = fixture;
      const file = dir.file("content");
      await store.putFile("a/key", file, c);
      rmSync(file.path);
      expect(await store.head("a/key", c)).toMatchObject({ sizeBytes: 7, digest: file.digest });
      expect(await get(store, "a/key").then(textOf)).toBe("content");
      expect(await store.fetchFile("a/key", dir.out, c)).toBe(file.digest);
      expect(readFileSync(dir.out, "utf8")).toBe("content");
      expect(dir.left()).toEqual(["out"]);
    });

    test("a file replaces what was there, as another version", async () => {
      await using fixture = await open();
      using dir = workDir();
      const { store } = fixture;
      const seen = [await put(store, "key", "bytes")];
      for (const content of ["old", "new"]) {
        await store.putFile("key", dir.file(content), c);
        const { version = "" } = (await store.head("key", c)) ?? {};
        expect(await list(store)).toMatchObject([{ version, sizeBytes: 3 }]);
        seen.push(version);
      }
      expect(new Set(seen).size).toBe(3);
      expect(await store.fetchFile("key", dir.out, c)).toBe(digestOf("new"));
      expect(readFileSync(dir.out, "utf8")).toBe("new");
    });

    test("bytes replace a file, and nobody takes its digest for theirs", async () => {
      await using fixture = await open();
      using dir = workDir();
      const { store } = fixture;
      await store.putFile("key", dir.file("a file"), c);
      await put(store, "key", "bytes");
      expect([null, digestOf("bytes")]).toContain((await store.head("key", c))?.digest ?? null);
      expect(await store.fetchFile("key", dir.out, c)).toBe(digestOf("bytes"));
      expect(readFileSync(dir.out, "utf8")).toBe("bytes");
    });

    test("the same file under two keys, and an empty one", async () => {
      await using fixture = await open();
      using dir = workDir();
      const { store } = fixture;
      const [file, empty] = [dir.file("content"), dir.file("")];
      await store.putFile("one", file, c);
      await store.putFile("two", file, c);
      await store.putFile("empty", empty, c);
      await store.delete("one", c);
      expect(await read(store, "two")).toBe("content");
      expect(await store.fetchFile("empty", dir.out, c)).toBe(empty.digest);
      expect(statSync(dir.out).size).toBe(0);
    });

    test("what is not what its writer said is not fetched, and a new put repairs it", async () => {
      await using fixture = await open();
      using dir = workDir();
      const { store } = fixture;
      const file = dir.file("content");
      await store.putFile("key", file, c);
      await fixture.corrupt("key");
      await expect(store.fetchFile("key", dir.out, c)).rejects.toMatchObject({ code: "digest-mismatch" });
      expect(dir.left()).toEqual(["in-0"]);
      await store.putFile("key", dir.file("content"), c);
      expect(await store.fetchFile("key", dir.out, c)).toBe(file.digest);
    });

    test("fetching does not touch a file that is there", async () => {
      await using fixture = await open();
      using dir = workDir();
      await put(fixture.store, "key", "stored");
      writeFileSync(dir.out, "mine");
      await expect(fixture.store.fetchFile("key", dir.out, c)).rejects.toMatchObject({ code: "filesystem" });
      expect(readFileSync(dir.out, "utf8")).toBe("mine");
      expect(dir.left()).toEqual(["out"]);
    });

    test("fetching into a directory that is not there is an error of this disk", async () => {
      await using fixture = await open();
      using dir = workDir();
      await put(fixture.store, "key", "stored");
      const fetching = fixture.store.fetchFile("key", join(dir.path, "missing", "out"), c);
      await expect(fetching).rejects.toMatchObject({ code: "filesystem" });
    });

    test.each(["missing", "a directory"])("a source that is %s leaves what was stored", async (kind) => {
      await using fixture = await open();
      using dir = workDir();
      const { store } = fixture;
      await put(store, "key", "old");
      const path = join(dir.path, "source");
      if (kind === "a directory") mkdirSync(path);
      const putting = store.putFile("key", { path, digest: digestOf("") }, c);
      await expect(putting).rejects.toMatchObject({ code: "filesystem" });
      expect(await read(store, "key")).toBe("old");
      expect(await list(store)).toHaveLength(1);
    });

    test("20 MiB round-trip", async () => {
      await using fixture = await open();
      using dir = workDir();
      const file = dir.file(largeContent());
      await fixture.store.putFile("large", file, c);
      expect(await fixture.store.head("large", c)).toMatchObject({
        sizeBytes: largeBytes,
        digest: file.digest,
      });
      expect(await fixture.store.fetchFile("large", dir.out, c)).toBe(file.digest);
      expect(digestOf(readFileSync(dir.out))).toBe(file.digest);
    });

    test("a large object is read on from its middle", async () => {
      await using fixture = await open();
      using dir = workDir();
      const content = largeContent();
      await fixture.store.putFile("large", dir.file(content), c);
      const { version = "" } = (await fixture.store.head("large", c)) ?? {};
      const offset = 13 * 1024 * 1024 + 7;
      const rest = await get(fixture.store, "large", { offset, validator: version });
      expect(rest).toMatchObject({ offset, sizeBytes: largeBytes });
      const got = Buffer.concat(await Array.fromAsync(rest.chunks));
      expect(digestOf(got)).toBe(digestOf(content.subarray(offset)));
    });

    test("a stopped call moves no file", async () => {
      await using fixture = await open();
      using dir = workDir();
      const { store } = fixture;
      await put(store, "key", "old");
      const { signal, reason } = aborted();
      await expect(store.putFile("key", dir.file("new"), { signal })).rejects.toBe(reason);
      await expect(store.fetchFile("key", dir.out, { signal })).rejects.toBe(reason);
      expect(await read(store, "key")).toBe("old");
      expect(dir.left()).toEqual(["in-0"]);
    });

    test("one that is stopped half-way leaves nothing behind, or is done", async () => {
      await using fixture = await open();
      using dir = workDir();
      const { store } = fixture;
      const file = dir.file(largeContent());
      const putting = await stopped((signal) => store.putFile("large", file, { signal }));
      const head = await store.head("large", c);
      // A service may have it all when its answer is no longer awaited.
      if (putting === "done" || head !== null) {
        expect(head).toMatchObject({ sizeBytes: largeBytes, digest: file.digest });
      }
      await store.putFile("large", file, c);
      const fetched = await stopped((signal) => store.fetchFile("large", dir.out, { signal }));
      expect(dir.left()).toEqual(fetched === "stopped" ? ["in-0"] : ["in-0", "out"]);
      expect(await store.fetchFile("large", `${dir.out}-2`, c)).toBe(file.digest);
    });
  });
}

/** Stops a call a moment after it began. One that was quicker is done; one that was not has the reason. */
async function stopped(call: (signal: AbortSignal) => Promise<unknown>): Promise<"stopped" | "done"> {
  const stop = new AbortController();
  const reason = new Error("stop");
  const running = call(stop.signal);
  setTimeout(() => stop.abort(reason), 5);
  try {
    await running;
    return "done";
  } catch (error) {
    expect(error).toBe(reason);
    return "stopped";
  }
}

/** No two megabytes alike. */
function largeContent(): Buffer {
  const content = Buffer.alloc(largeBytes);
  for (let at = 0; at < largeBytes; at += 4096) content.writeUInt32BE(at, at);
  return content;
}

/** A directory for the files of a test. */
function workDir() {
  const dir = tempDir();
  let made = 0;
  return {
    path: dir.path,
    out: join(dir.path, "out"),
    file(content: string | Buffer): LocalFile {
      const path = join(dir.path, `in-${made++}`);
      writeFileSync(path, content);
      return { path, digest: digestOf(content) };
    },
    left: () => readdirSync(dir.path).sort(),
    [Symbol.dispose]: () => dir[Symbol.dispose](),
  };
}
