import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, readlinkSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PartFile } from "../../src/util/part-file.ts";
import { tempDir } from "../support/temp-dir.ts";
import { mountTmpfs } from "../support/tmpfs.ts";

const c = { signal: new AbortController().signal };
const bytes = (text: string) => new TextEncoder().encode(text);
const digestOf = (text: string) => `sha256:${Bun.SHA256.hash(text, "hex")}` as const;

describe("a file while it is being written", () => {
  test("has no name until it is finished, and nothing stays beside it", async () => {
    using dir = tempDir();
    const path = join(dir.path, "file");
    {
      await using part = await PartFile.create(path);
      for (const text of ["some ", "bytes"]) await part.write(bytes(text));
      expect(readdirSync(dir.path)).toEqual([expect.stringMatching(/^\.partial-/)]);
      expect(part.sizeBytes).toBe(10);
      expect(part.digest()).toBe(digestOf("some bytes"));
      await part.finish(c);
    }
    expect(readFileSync(path, "utf8")).toBe("some bytes");
    expect(readdirSync(dir.path)).toEqual(["file"]);
  });

  test("begins anew without a trace of what was written", async () => {
    using dir = tempDir();
    const path = join(dir.path, "file");
    await using part = await PartFile.create(path);
    await part.write(bytes("something long"));
    await part.restart();
    expect(part.sizeBytes).toBe(0);
    await part.write(bytes("short"));
    expect(part.digest()).toBe(digestOf("short"));
    await part.finish(c);
    expect(readFileSync(path, "utf8")).toBe("short");
  });

  test("that is given up leaves nothing", async () => {
    using dir = tempDir();
    {
      await using part = await PartFile.create(join(dir.path, "file"));
      await part.write(bytes("x"));
    }
    expect(readdirSync(dir.path)).toEqual([]);
  });

  test("that is stopped before it has its name leaves nothing", async () => {
    using dir = tempDir();
    const reason = new Error("stop");
    const stopped = async () => {
      await using part = await PartFile.create(join(dir.path, "file"));
      await part.write(bytes("x"));
      await part.finish({ signal: AbortSignal.abort(reason) });
    };
    await expect(stopped()).rejects.toBe(reason);
    expect(readdirSync(dir.path)).toEqual([]);
  });

  test("leaves nothing on a disk that it filled", async () => {
    using dir = tempDir();
    await using _ = mountTmpfs(dir.path, "size=64k");
    const filling = async () => {
      await using part = await PartFile.create(join(dir.path, "file"));
      await part.write(new Uint8Array(1_000_000));
    };
    await expect(filling()).rejects.toMatchObject({ code: "ENOSPC" });
    expect(readdirSync(dir.path)).toEqual([]);
  });
});

describe("what has its name already", () => {
  const taken = { code: "filesystem", retryable: false };

  test.each(["a file", "a link that leads nowhere"])("%s is kept, which is known at once", async (kind) => {
    using dir = tempDir();
    const path = join(dir.path, "file");
    if (kind === "a file") writeFileSync(path, "mine");
    else symlinkSync("nowhere", path);
    await expect(PartFile.create(path)).rejects.toMatchObject(taken);
    expect(readdirSync(dir.path)).toEqual(["file"]);
    expect(kind === "a file" ? readFileSync(path, "utf8") : readlinkSync(path)).toMatch(/^(mine|nowhere)$/);
  });

  test("is kept when it appears meanwhile", async () => {
    using dir = tempDir();
    const path = join(dir.path, "file");
    {
      await using part = await PartFile.create(path);
      await part.write(bytes("ours"));
      writeFileSync(path, "mine");
      await expect(part.finish(c)).rejects.toMatchObject(taken);
    }
    expect(readFileSync(path, "utf8")).toBe("mine");
    expect(readdirSync(dir.path)).toEqual(["file"]);
  });

  test("is replaced where that was asked for, and so is what a killed process left", async () => {
    using dir = tempDir();
    const path = join(dir.path, "file");
    writeFileSync(path, "old");
    writeFileSync(`${path}.part`, "half of something else");
    {
      await using part = await PartFile.create(path, { partial: `${path}.part`, replaces: true });
      await part.write(bytes("new"));
      expect(readFileSync(path, "utf8")).toBe("old");
      await part.finish(c);
    }
    expect(readFileSync(path, "utf8")).toBe("new");
    expect(readdirSync(dir.path)).toEqual(["file"]);
  });
});
