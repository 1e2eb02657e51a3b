import { describe, expect, test } from "bun:test";
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fsyncDirectory, writeAll, writeFileAtomic } from "../../src/util/fs.ts";
import { tempDir } from "../support/temp-dir.ts";
import { mountTmpfs } from "../support/tmpfs.ts";

describe("replacing a file as a whole", () => {
  test("creates it, replaces it, with the mode asked for, and leaves nothing beside it", () => {
    using dir = tempDir();
    const path = join(dir.path, "file");
    writeFileAtomic(path, "one", 0o600);
    writeFileAtomic(path, new Uint8Array([116, 119, 111]), 0o600);
    expect(readFileSync(path, "utf8")).toBe("two");
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(dir.path)).toEqual(["file"]);
  });

  test("a reader that looks all the time sees one content or the other, whole", async () => {
    using dir = tempDir();
    const path = join(dir.path, "file");
    const contents = ["a", "b"].map((char) => char.repeat(200_000));
    writeFileAtomic(path, contents[0] ?? "");
    const reader = Bun.spawn(
      [
        process.execPath,
        "-e",
        `const { readFileSync } = require("node:fs");
         const seen = new Set();
         process.stdout.write("go");
         for (let i = 0; i < 3000; i++) { const t = readFileSync(process.argv[1], "utf8"); seen.add(t[0] + t.at(-1) + t.length); }
         process.stdout.write([...seen].sort().join());`,
        path,
      ],
      { stdout: "pipe", stderr: "inherit" },
    );
    let output = "";
    const reading = (async () => {
      for await (const chunk of reader.stdout) output += new TextDecoder().decode(chunk);
    })();
    for (let round = 0; reader.exitCode === null; round++) {
      writeFileAtomic(path, contents[round % 2] ?? "");
      await Bun.sleep(0);
    }
    await reading;
    expect(["goaa200000", "gobb200000", "goaa200000,bb200000"]).toContain(output);
  });

  test("a full disk leaves the old content and no other file", async () => {
    using dir = tempDir();
    await using _ = mountTmpfs(dir.path, "size=64k");
    const path = join(dir.path, "file");
    writeFileAtomic(path, "old");
    expect(() => writeFileAtomic(path, "x".repeat(200_000))).toThrow("ENOSPC");
    expect(readFileSync(path, "utf8")).toBe("old");
    expect(readdirSync(dir.path)).toEqual(["file"]);
  });

  test("what fails is told of, not what failed in cleaning up after it", () => {
    using dir = tempDir();
    writeFileAtomic(join(dir.path, "file"), "x");
    expect(() => writeFileAtomic(join(dir.path, "file/below"), "x")).toThrow(
      expect.objectContaining({ syscall: "mkdir" }),
    );
  });

  test("a directory in its place is an error, and stays", () => {
    using dir = tempDir();
    const path = join(dir.path, "file");
    mkdirSync(path);
    expect(() => writeFileAtomic(path, "x")).toThrow();
    expect(readdirSync(dir.path)).toEqual(["file"]);
  });
});

test("writeAll writes on until everything is there", async () => {
  using dir = tempDir();
  const fifo = join(dir.path, "fifo");
  Bun.spawnSync(["mkfifo", fifo]);
  const reader = Bun.spawn(["wc", "-c", fifo], { stdout: "pipe" });
  const fd = openSync(fifo, "w");
  writeAll(fd, new Uint8Array(1_000_000));
  closeSync(fd);
  expect((await reader.stdout.text()).trim()).toStartWith("1000000");
});

test("fsyncDirectory takes directories and tells of missing ones", () => {
  using dir = tempDir();
  writeFileSync(join(dir.path, "x"), "");
  expect(() => fsyncDirectory(dir.path)).not.toThrow();
  expect(() => fsyncDirectory(join(dir.path, "gone"))).toThrow("ENOENT");
});
