import { describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DewyError } from "../../src/errors.ts";
import { filterOf } from "../../src/notify/filter.ts";
import { deployed, downloaded, drain, OutboxHost, readerOf } from "../support/outbox-host.ts";
import { mountTmpfs } from "../support/tmpfs.ts";

const ops = readerOf("slack://ops");
const errorsOnly = readerOf("slack://errors", filterOf({ on: ["error"], quiet: null }));

/** Reading it is an input/output error until the disposal. */
function unreadable(file: string): Disposable {
  expect(Bun.spawnSync(["mount", "--bind", `/proc/${process.pid}/mem`, file]).exitCode).toBe(0);
  return { [Symbol.dispose]: () => void Bun.spawnSync(["umount", file]) };
}

function thrownBy(work: () => unknown): DewyError {
  try {
    work();
  } catch (error) {
    if (error instanceof DewyError) return error;
  }
  throw new Error("no DewyError");
}

describe("a disk that does not take it", () => {
  const asRoot = process.getuid?.() === 0 ? test : test.skip;

  asRoot("keeps no notice from being sent: one WARN, and on disk as soon as there is room", async () => {
    using host = new OutboxHost("small/outbox");
    const mount = join(host.root, "small");
    mkdirSync(mount);
    await using _ = mountTmpfs(mount, "size=64k");
    const outbox = host.open();
    outbox.add(downloaded("v1"));
    const filler = join(mount, "filler");
    try {
      writeFileSync(filler, "x".repeat(128 * 1024));
    } catch {
      // it is full now
    }
    outbox.add(downloaded("v2"));
    outbox.add(downloaded("v3"));
    expect(host.log.at("warn")).toHaveLength(1);
    expect(host.files()).toHaveLength(1);
    const first = outbox.next(ops.key);
    if (first !== null) outbox.done(ops.key, first);
    writeFileSync(filler, "");
    outbox.add(downloaded("v4"));
    expect(host.files()).toHaveLength(3);
    expect(drain(host.open(), ops.key)).toEqual(["v2", "v3", "v4"]);
    expect(host.log.at("warn")).toHaveLength(1);
  });

  asRoot("that is read-only from the start: all is sent from memory", async () => {
    using host = new OutboxHost("ro/outbox");
    const mount = join(host.root, "ro");
    mkdirSync(mount);
    await using tmpfs = mountTmpfs(mount, "size=1m");
    tmpfs.remount("ro");
    const outbox = host.open();
    for (const tag of ["v1", "v2"]) outbox.add(downloaded(tag));
    expect(drain(outbox, ops.key)).toEqual(["v1", "v2"]);
    expect(host.log.at("warn")).toHaveLength(1);
    expect(host.log.at("error")).toEqual([]);
  });

  asRoot(
    "that can't read for a moment, at the start or later: no notice is lost, and none told to whom it is not for",
    () => {
      using host = new OutboxHost();
      const readers = [ops, errorsOnly];
      host.open({ readers }).add(downloaded("v1"));
      const file = join(host.path, host.files()[0] ?? "");
      {
        using _ = unreadable(file);
        const outbox = host.open({ readers });
        outbox.add(downloaded("v2"));
        for (const { key } of readers) {
          const { retryable } = thrownBy(() => outbox.next(key));
          expect(retryable).toBe(true);
        }
        expect(outbox.waiting(ops.key)).toBe(2);
      }
      const outbox = host.open({ readers });
      {
        using _ = unreadable(file);
        thrownBy(() => outbox.next(ops.key));
      }
      expect(drain(outbox, errorsOnly.key)).toEqual([]);
      expect(drain(outbox, ops.key)).toEqual(["v1", "v2"]);
      expect(host.files()).toEqual([]);
      expect(host.log.records).toEqual([]);
    },
  );

  asRoot("that reads again after the start: what was not known is sorted out", () => {
    using host = new OutboxHost();
    const readers = [ops, errorsOnly];
    host.open({ readers }).add(deployed("v1"), { deploy: "d1" });
    const unread = unreadable(join(host.path, host.files()[0] ?? ""));
    const outbox = host.open({ readers });
    unread[Symbol.dispose]();
    expect(drain(outbox, errorsOnly.key)).toEqual([]);
    expect(outbox.hasTold("d1")).toBe(true);
    expect(drain(outbox, ops.key)).toEqual(["v1"]);
  });

  asRoot("that becomes read-only: nothing is sent twice as long as the agent lives", async () => {
    using host = new OutboxHost("ro/outbox");
    const mount = join(host.root, "ro");
    mkdirSync(mount);
    await using tmpfs = mountTmpfs(mount, "size=1m");
    const outbox = host.open();
    for (const tag of ["v1", "v2"]) outbox.add(downloaded(tag));
    tmpfs.remount("ro");
    outbox.add(downloaded("v3"));
    expect(drain(outbox, ops.key)).toEqual(["v1", "v2", "v3"]);
    expect(drain(outbox, ops.key)).toEqual([]);
    expect(host.log.at("warn")).toHaveLength(1);
  });
});
