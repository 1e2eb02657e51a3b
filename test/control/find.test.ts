import { describe, expect, test } from "bun:test";
import { chmodSync, closeSync, mkdirSync, openSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { acquireLock } from "../../src/agent/lock.ts";
import { findAgents } from "../../src/control/find.ts";
import { tempDir } from "../support/temp-dir.ts";

/** Of this machine there may be others: only those of the test are looked at. */
const found = (directory: string) => findAgents().filter((root) => root.startsWith(`${directory}/`));

describe("the agents of this host", () => {
  test("are those that hold their lock, by their directory, each once", () => {
    using dir = tempDir();
    const roots = ["b", "a", "with blank"].map((name) => join(dir.path, name));
    using stack = new DisposableStack();
    for (const root of roots) {
      mkdirSync(join(root, ".dewy"), { recursive: true });
      stack.use(acquireLock(join(root, ".dewy/lock"), "pid 1"));
    }
    expect(found(dir.path)).toEqual(roots.toSorted());
    stack.dispose();
    expect(found(dir.path)).toEqual([]);
  });

  test("are not those whose lock somebody only looks at", () => {
    using dir = tempDir();
    mkdirSync(join(dir.path, "a/.dewy"), { recursive: true });
    const fd = openSync(join(dir.path, "a/.dewy/lock"), "a+");
    expect(found(dir.path)).toEqual([]);
    closeSync(fd);
  });

  test("are none of what another user's program holds for one, be it a pipe", async () => {
    using dir = tempDir();
    chmodSync(dir.path, 0o777);
    const make = "mkdir -p a/.dewy b/.dewy && mkfifo a/.dewy/lock && exec 8<>a/.dewy/lock";
    const hold = `${make} && exec 9>b/.dewy/lock && flock -n 9 && echo ready && exec sleep 1000`;
    const as = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    const stranger = Bun.spawn([...as, "sh", "-c", hold], { cwd: dir.path, stdout: "pipe" });
    await stranger.stdout.getReader().read();
    expect(found(dir.path)).toEqual([]);
    stranger.kill();
    await stranger.exited;
  });

  test("are named by where they really are", () => {
    using dir = tempDir();
    mkdirSync(join(dir.path, "a/.dewy"), { recursive: true });
    symlinkSync("a", join(dir.path, "link"));
    using _lock = acquireLock(join(dir.path, "link/.dewy/lock"), "pid 1");
    expect(found(dir.path)).toEqual([join(dir.path, "a")]);
  });
});
