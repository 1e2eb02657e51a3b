import { describe, expect, test } from "bun:test";
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { groupMembers, processIsAlive, stopProcess } from "../../src/process/process.ts";
import { openListener } from "../../src/supervisor/listener.ts";
import { inodesAt, listeningInodes } from "../../src/supervisor/listening.ts";
import {
  commandName,
  descriptorOf,
  environment,
  processGroup,
  processIds,
  processStat,
  workingDirectory,
} from "../../src/util/procfs.ts";
import { systemClock } from "../../src/util/time.ts";
import { FakeClock } from "../support/clock.ts";
import { freePort } from "../support/free-port.ts";
import { tempDir } from "../support/temp-dir.ts";
import { until } from "../support/until.ts";

const c = { signal: new AbortController().signal };

describe("what /proc tells", () => {
  test("of a process with spaces and parentheses in its name", async () => {
    using dir = tempDir();
    const program = join(dir.path, "a) R (b 1");
    copyFileSync("/bin/sleep", program);
    const child = Bun.spawn([program, "1000"], {
      detached: true,
      cwd: dir.path,
      env: { NAME: "a=b", EMPTY: "" },
    });
    await until("it runs", () => commandName(child.pid) === "a) R (b 1");
    expect(processStat(child.pid)).toMatchObject({ pid: child.pid, ppid: process.pid, pgrp: child.pid });
    expect(processIds()).toContain(child.pid);
    expect(processGroup(child.pid)).toEqual([child.pid]);
    expect(Object.fromEntries(environment(child.pid))).toEqual({ NAME: "a=b", EMPTY: "" });
    expect(workingDirectory(child.pid)).toBe(dir.path);
    child.kill("SIGKILL");
    await child.exited;
    expect(processStat(child.pid)).toBeNull();
    expect(environment(child.pid).size).toBe(0);
    expect(commandName(child.pid)).toBe("?");
    expect(workingDirectory(child.pid)).toBeNull();
    expect(descriptorOf(child.pid, 1)).toBeNull();
  });

  test("of who listens where", async () => {
    using dir = tempDir();
    const specs = [
      { kind: "tcp", host: null, port: freePort() },
      { kind: "tcp", host: "127.0.0.1", port: freePort() },
      { kind: "unix", path: join(dir.path, "app.sock") },
    ] as const;
    for (const spec of specs) {
      const listener = await openListener(spec);
      expect(inodesAt(spec)).toEqual([listener.inode]);
      expect(descriptorOf(process.pid, listener.inode)).toBe(listener.fd);
      listener.close();
      expect(inodesAt(spec)).toEqual([]);
    }
  });
});

test("a socket of another address on the same port is told apart", async () => {
  const port = freePort();
  const at = (host: string | null) => ({ kind: "tcp", host, port }) as const;
  const hosts = ["127.0.0.1", "127.0.0.2", "::1"];
  const open = await Promise.all(hosts.map((host) => openListener(at(host))));
  expect(hosts.map((host) => inodesAt(at(host)))).toEqual(open.map(({ inode }) => [inode]));
  expect(inodesAt(at(null))).toEqual([]);
  expect(listeningInodes(at(null)).toSorted()).toEqual(open.map(({ inode }) => inode).toSorted());
  for (const listener of open) listener.close();
});

describe("a process is alive", () => {
  test("only with the start time it was seen with, and not as a zombie", async () => {
    const parent = Bun.spawn(["sh", "-c", "sleep 0.3 & echo $!; exec sleep 1000"], { stdout: "pipe" });
    const { value } = await parent.stdout.getReader().read();
    const zombie = Number(new TextDecoder().decode(value));
    const stat = await until("the zombie", () => {
      const found = processStat(zombie);
      return found?.state === "Z" && found;
    });
    expect(processIsAlive(zombie, stat.startTicks)).toBe(false);
    const ticks = processStat(parent.pid)?.startTicks ?? 0;
    expect(processIsAlive(parent.pid, ticks)).toBe(true);
    expect(processIsAlive(parent.pid, ticks + 1)).toBe(false);
    parent.kill("SIGKILL");
    await parent.exited;
    expect(processIsAlive(parent.pid, ticks)).toBe(false);
  });
});

describe("stopping a process", () => {
  const stubborn = ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1000; done"];

  test("that ends on SIGTERM needs no more", async () => {
    const child = Bun.spawn(["sleep", "1000"], { detached: true });
    expect(await stopProcess(targetOf(child.pid), 60_000, systemClock, c)).toEqual({
      killed: false,
    });
    await child.exited;
    expect(child.signalCode).toBe("SIGTERM");
  });

  test("that does not, is killed when its time is over", async () => {
    const child = await ready(stubborn);
    const clock = new FakeClock();
    const stopping = stopProcess(targetOf(child.pid), 30_000, clock, c);
    await clock.advance(29_000);
    expect(child.exitCode).toBeNull();
    await clock.advance(1500);
    await child.exited;
    await clock.advance(1000);
    expect(await stopping).toEqual({ killed: true });
    expect(child.signalCode).toBe("SIGKILL");
  });

  test("that does not, is killed at once when the call ends", async () => {
    const child = await ready(stubborn);
    const stop = new AbortController();
    const stopping = stopProcess(targetOf(child.pid), 600_000, systemClock, stop);
    stop.abort();
    expect(await stopping).toEqual({ killed: true });
    await child.exited;
  });

  test("leaves whoever has its number now alone", async () => {
    const other = Bun.spawn(["sleep", "1000"], { detached: true });
    const { pid, startTicks } = targetOf(other.pid);
    await stopProcess({ ...targetOf(pid), startTicks: 1 }, 1000, systemClock, c);
    expect(processIsAlive(pid, startTicks)).toBe(true);
    other.kill();
    await other.exited;
  });

  describe("whose leader is gone ends what it left", () => {
    const parent = async (env: Record<string, string>) => {
      const child = await ready(["sh", "-c", "sleep 1000 & echo ready; exec sleep 0.1"], env);
      const target = { ...targetOf(child.pid), root: "/srv/app" };
      const left = groupMembers(child.pid).filter(({ pid }) => pid !== child.pid);
      await child.exited;
      return { target, left };
    };

    test("where that bears its directory's name", async () => {
      const { target } = await parent({ DEWY_ROOT: "/srv/app" });
      await stopProcess(target, 5000, systemClock, c);
      expect(groupMembers(target.pid)).toEqual([]);
    });

    test("or was seen in its group when it ended, and nothing of somebody else's", async () => {
      const { target, left } = await parent({ DEWY_ROOT: "/srv/other" });
      await stopProcess(target, 5000, systemClock, c);
      expect(groupMembers(target.pid)).toEqual(left);
      await stopProcess({ ...target, left }, 5000, systemClock, c);
      expect(groupMembers(target.pid)).toEqual([]);
    });
  });

  test("that is gone is done", async () => {
    const child = Bun.spawn(["true"], { detached: true });
    await child.exited;
    expect(await stopProcess(targetOf(child.pid), 1000, systemClock, c)).toEqual({
      killed: false,
    });
  });
});

function targetOf(pid: number) {
  return { pid, startTicks: processStat(pid)?.startTicks ?? 0, leadsGroup: true, root: "/" };
}

async function ready(command: string[], env: Record<string, string> = {}) {
  const child = Bun.spawn(command, { detached: true, stdout: "pipe", env: { ...process.env, ...env } });
  await child.stdout.getReader().read();
  return child;
}
