import { describe, expect, test } from "bun:test";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { acquireLock, isLocked, lockHolder } from "../../src/agent/lock.ts";
import { tempDir } from "../support/temp-dir.ts";
import { mountTmpfs } from "../support/tmpfs.ts";

describe("the lock", () => {
  test("of a directory no agent ran in is free, and looking makes no file", () => {
    using dir = tempDir();
    const path = join(dir.path, "lock");
    expect(isLocked(path)).toBe(false);
    expect(lockHolder(path)).toBe("unknown");
    expect(existsSync(path)).toBe(false);
  });

  test("is held by one; the second is told who", () => {
    using dir = tempDir();
    const path = join(dir.path, "lock");
    using _ = acquireLock(path, "pid 1, dewy server");
    expect(isLocked(path)).toBe(true);
    expect(() => acquireLock(path, "pid 2")).toThrow(
      "another dewy runs in this directory: pid 1, dewy server",
    );
    expect(lockHolder(path)).toBe("pid 1, dewy server");
  });

  test.each<[string, (path: string) => void]>([
    ["removed", (path) => rmSync(path)],
    [
      "replaced",
      (path) => {
        copyFileSync(path, `${path}.copy`);
        renameSync(`${path}.copy`, path);
      },
    ],
  ])("whose file was %s is taken anew by its holder", (_, tamper) => {
    using dir = tempDir();
    const path = join(dir.path, "lock");
    const lock = acquireLock(path, "pid 1");
    expect(lock.renew()).toBe(false);
    tamper(path);
    expect(isLocked(path)).toBe(false);
    expect(lock.renew()).toBe(true);
    expect(lock.renew()).toBe(false);
    expect(() => acquireLock(path, "pid 2")).toThrow("pid 1");
    lock[Symbol.dispose]();
    expect(isLocked(path)).toBe(false);
  });

  test("that somebody took meanwhile is not taken back, and one that can't be made is told", () => {
    using dir = tempDir();
    const path = join(dir.path, "state/lock");
    mkdirSync(join(dir.path, "state"));
    const lock = acquireLock(path, "pid 1");
    rmSync(path);
    const other = acquireLock(path, "pid 2");
    expect(() => lock.renew()).toThrow("another dewy runs in this directory: pid 2");
    other[Symbol.dispose]();
    expect(lock.renew()).toBe(true);
    rmSync(join(dir.path, "state"), { recursive: true });
    expect(() => lock.renew()).toThrow("ENOENT");
    lock[Symbol.dispose]();
  });

  test("is free again when its holder lets go, whatever the text says", () => {
    using dir = tempDir();
    const path = join(dir.path, "lock");
    acquireLock(path, "a rather long description of the first holder")[Symbol.dispose]();
    expect(isLocked(path)).toBe(false);
    using _ = acquireLock(path, "second");
    expect(readFileSync(path, "utf8")).toBe("second\n");
  });

  test("is free when its holder was killed, though a child of it lives on", async () => {
    using dir = tempDir();
    const path = join(dir.path, "lock");
    const script = `
      const { acquireLock } = await import(${JSON.stringify(join(import.meta.dir, "../../src/agent/lock.ts"))});
      acquireLock(process.argv[1], "the child");
      const child = Bun.spawn(["sleep", "1000"], { detached: true, stdio: ["ignore", "ignore", "ignore"] });
      process.stdout.write(String(child.pid));
      setInterval(() => {}, 1000);`;
    const holder = Bun.spawn([process.execPath, "-e", script, path], { stdout: "pipe", stderr: "inherit" });
    const { value } = await holder.stdout.getReader().read();
    expect(isLocked(path)).toBe(true);
    expect(lockHolder(path)).toBe("the child");
    holder.kill("SIGKILL");
    await holder.exited;
    using _ = acquireLock(path, "the successor");
    process.kill(Number(new TextDecoder().decode(value)), "SIGKILL");
  });

  test("is had although somebody looks at it all the time", async () => {
    using dir = tempDir();
    const path = join(dir.path, "lock");
    acquireLock(path, "before")[Symbol.dispose]();
    const script = `
      const { isLocked } = await import(${JSON.stringify(join(import.meta.dir, "../../src/agent/lock.ts"))});
      process.stdout.write("go");
      for (;;) isLocked(process.argv[1]);`;
    const looker = Bun.spawn([process.execPath, "-e", script, path], { stdout: "pipe", stderr: "inherit" });
    try {
      await looker.stdout.getReader().read();
      for (let round = 0; round < 200; round++) acquireLock(path, "holder")[Symbol.dispose]();
    } finally {
      looker.kill("SIGKILL");
      await looker.exited;
    }
  });

  test("is had on a full disk", async () => {
    using dir = tempDir();
    await using _ = mountTmpfs(dir.path, "size=64k");
    const path = join(dir.path, "lock");
    writeFileSync(path, "");
    for (let size = 32 * 1024; size >= 4096; size /= 2) {
      writeFileSync(join(dir.path, `filler-${size}`), Buffer.alloc(size));
    }
    expect(() => writeFileSync(join(dir.path, "more"), Buffer.alloc(8192))).toThrow("ENOSPC");
    using _lock = acquireLock(path, "pid 1");
    expect(isLocked(path)).toBe(true);
  });

  test("that can't be opened is an error", () => {
    using dir = tempDir();
    mkdirSync(join(dir.path, "lock"));
    expect(() => acquireLock(join(dir.path, "lock"), "x")).toThrow("EISDIR");
  });
});
