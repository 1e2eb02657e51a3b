import { expect, test } from "bun:test";
import { join } from "node:path";
import { orphans, ownChildren } from "../../src/process/reaper.ts";
import type { ProcessStat } from "../../src/util/procfs.ts";

const ended: ProcessStat = { pid: 7, state: "Z", ppid: 1, pgrp: 7, session: 7, startTicks: 70 };

test.each<[string, readonly ProcessStat[], readonly ProcessStat[], number[]]>([
  ["nothing", [], [], []],
  ["one that ended a round ago", [ended], [ended], [7]],
  ["one that has ended just now", [ended], [{ ...ended, state: "S" }], []],
  ["one that nobody had seen", [ended], [], []],
  ["one that runs", [{ ...ended, state: "S" }], [{ ...ended, state: "S" }], []],
  ["another's child", [{ ...ended, ppid: 2 }], [{ ...ended, ppid: 2 }], []],
  ["one that was another's child then", [ended], [{ ...ended, ppid: 2 }], []],
  ["another process of the same number", [ended], [{ ...ended, startTicks: 60 }], []],
  ["one of several", [ended, { ...ended, pid: 8 }], [ended], [7]],
])("left over is %s: %#", (_, now, before, pids) => {
  expect(orphans(now, before, 1).map(({ pid }) => pid)).toEqual(pids);
});

test("Bun's own children are known from their start until their end has been noted", async () => {
  const child = Bun.spawn(["/bin/sh", "-c", "exit 5"]);
  expect(ownChildren()).toContain(child.pid);
  await child.exited;
  expect(ownChildren()).not.toContain(child.pid);
});

test.each([
  ["at once", [], {}, 1000],
  // Which of the two it is can only be told by how long nobody has taken note of its end.
  [
    "after a minute where no child has a pidfd",
    ["no-pidfds"],
    { BUN_FEATURE_FLAG_FORCE_WAITER_THREAD: "1" },
    60_000,
  ],
])("as pid 1 it takes what is left over, and never what Bun waits for: %s", async (_, args, env, roundMs) => {
  const script = join(import.meta.dir, "../support/first-process.ts");
  const namespace = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"];
  const child = Bun.spawn([...namespace, process.execPath, script, ...args], {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  expect(JSON.parse(await new Response(child.stdout).text())).toEqual({
    orphan: "gone",
    exitCode: 5,
    roundMs,
  });
});
