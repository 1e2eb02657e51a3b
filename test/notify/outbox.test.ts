import { describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { DewyError } from "../../src/errors.ts";
import { cursorKey } from "../../src/notify/cursor.ts";
import { filterOf } from "../../src/notify/filter.ts";
import { decodeNotice, encodeNotice } from "../../src/notify/notice-file.ts";
import { isNoticeId, nextNoticeId } from "../../src/notify/notice-id.ts";
import { partialPath } from "../../src/util/partial.ts";
import { events, failedHook, noticeOf } from "../support/notices.ts";
import { deployed, downloaded, drain, OutboxHost, readerOf, signOf } from "../support/outbox-host.ts";
import { mountTmpfs } from "../support/tmpfs.ts";
import { until } from "../support/until.ts";

const ops = readerOf("slack://ops");
const mail = readerOf("smtp://host/ops@example.com");
const errorsOnly = readerOf("slack://errors", filterOf({ on: ["error"], quiet: null }));
const day = 24 * 3_600_000;

describe("a notice", () => {
  test("says where, when and what, and is a file when add() returns", () => {
    using host = new OutboxHost();
    const outbox = host.open();
    outbox.add(downloaded("v1"), { thread: "1.2" });
    const [name = ""] = host.files();
    const { notice } = decodeNotice(readFileSync(join(host.path, name), "utf8"));
    expect(notice).toEqual({
      id: name.replace(".json", ""),
      at: host.clock.now().toISOString(),
      host: "web1",
      command: "server",
      root: "/srv/app",
      thread: "1.2",
      event: downloaded("v1"),
    });
    expect(outbox.next(ops.key)).toEqual(notice);
    expect(statSync(join(host.path, name)).mode & 0o777).toBe(0o600);
    expect(statSync(host.path).mode & 0o777).toBe(0o700);
  });

  test("follows those before it, and is gone once it was taken", () => {
    using host = new OutboxHost();
    const outbox = host.open();
    const tags = Array.from({ length: 20 }, (_, index) => `v${index}`);
    for (const tag of tags) outbox.add(downloaded(tag));
    expect(host.files()).toHaveLength(20);
    expect(outbox.waiting(ops.key)).toBe(20);
    expect(drain(outbox, ops.key)).toEqual(tags);
    expect(host.files()).toEqual([]);
    expect(outbox.next(ops.key)).toBeNull();
  });

  test("is the same until it was taken", () => {
    using host = new OutboxHost();
    const outbox = host.open();
    outbox.add(downloaded("v1"));
    outbox.add(downloaded("v2"));
    expect(outbox.next(ops.key)).toEqual(outbox.next(ops.key));
  });

  test("of an earlier agent is told by the next, before the newer ones, even if the clock was set back", async () => {
    using host = new OutboxHost();
    await host.clock.advance(day);
    const first = host.open();
    for (const tag of ["v1", "v2", "v3"]) first.add(downloaded(tag));
    const taken = first.next(ops.key);
    if (taken !== null) first.done(ops.key, taken);
    using behind = new OutboxHost();
    const second = host.open();
    Object.assign(host.clock, { now: () => behind.clock.now() });
    second.add(downloaded("v4"));
    expect(drain(second, ops.key)).toEqual(["v2", "v3", "v4"]);
    expect(drain(host.open(), ops.key)).toEqual([]);
  });

  test("that nobody wants is not kept", () => {
    using host = new OutboxHost();
    const outbox = host.open({ readers: [errorsOnly] });
    outbox.add(downloaded("v1"));
    expect(host.files()).toEqual([]);
    outbox.add(failedHook);
    expect(drain(outbox, errorsOnly.key)).toEqual(["hook"]);
  });

  test("wakes who waits for it", async () => {
    using host = new OutboxHost();
    const outbox = host.open();
    const added = outbox.added();
    outbox.add(downloaded("v1"));
    await added;
  });

  test("whose file is gone is passed over with a WARN", () => {
    using host = new OutboxHost();
    const outbox = host.open();
    for (const tag of ["v1", "v2"]) outbox.add(downloaded(tag));
    writeFileSync(join(host.path, host.files()[0] ?? ""), "torn");
    expect(drain(outbox, ops.key)).toEqual(["v2"]);
    expect(host.log.at("warn")).toHaveLength(1);
  });

  test.each([...events, failedHook].map((event) => [event.kind, event] as const))(
    "of kind %s is on disk what it was",
    (_, event) => {
      const stored = { notice: noticeOf(event), deploy: "d1" };
      expect(decodeNotice(encodeNotice(stored))).toEqual(stored);
    },
  );
});

describe("several notifiers", () => {
  test("each go their own way; a notice stays until all who want it had it", () => {
    using host = new OutboxHost();
    const outbox = host.open({ readers: [ops, mail, errorsOnly] });
    outbox.add(downloaded("v1"));
    outbox.add(deployed("v2"));
    expect(drain(outbox, ops.key)).toEqual(["v1", "v2"]);
    expect(host.files()).toHaveLength(2);
    expect(drain(outbox, errorsOnly.key)).toEqual([]);
    expect(drain(outbox, mail.key)).toEqual(["v1", "v2"]);
    expect(host.files()).toEqual([]);
  });

  test("that are new begin with what comes from now on", () => {
    using host = new OutboxHost();
    host.open().add(downloaded("v1"));
    const outbox = host.open({ readers: [ops, mail] });
    outbox.add(downloaded("v2"));
    expect(drain(outbox, mail.key)).toEqual(["v2"]);
    expect(drain(outbox, ops.key)).toEqual(["v1", "v2"]);
  });

  test("that are away for a start get what was kept meanwhile", () => {
    using host = new OutboxHost();
    host.open({ readers: [ops, mail] }).add(downloaded("v1"));
    const without = host.open();
    without.add(downloaded("v2"));
    expect(drain(without, ops.key)).toEqual(["v1", "v2"]);
    expect(drain(host.open({ readers: [ops, mail] }), mail.key)).toEqual(["v1", "v2"]);
  });

  test("that are away for a week keep nothing any more", () => {
    using host = new OutboxHost();
    host.open({ readers: [ops, mail] }).add(downloaded("v1"));
    const old = new Date(host.clock.now().getTime() - 8 * day);
    for (const { key } of [ops, mail]) utimesSync(join(host.path, `cursor-${key}.json`), old, old);
    expect(drain(host.open(), ops.key)).toEqual(["v1"]);
    expect(host.files()).toEqual([]);
    expect(readdirSync(host.path)).toEqual([`cursor-${ops.key}.json`]);
  });

  test("that are none leave no directory", () => {
    using host = new OutboxHost();
    const outbox = host.open({ readers: [] });
    outbox.add(deployed("v1"), { deploy: "d1" });
    expect(existsSync(host.path)).toBe(false);
    expect(outbox.hasTold("d1")).toBe(true);
  });

  test("are named in files by a hash: no secret of a URL can be read there", () => {
    using host = new OutboxHost();
    const url = "smtp://host/a@b.c?password=pl4nted";
    const outbox = host.open({ readers: [readerOf(url)] });
    outbox.add(downloaded("v1"));
    drain(outbox, cursorKey(url));
    const [name = ""] = readdirSync(host.path);
    expect(name).toMatch(/^cursor-[0-9a-f]{16}\.json$/);
    expect(`${name}${readFileSync(join(host.path, name), "utf8")}`).not.toContain("pl4nted");
    expect(cursorKey(url)).not.toBe(cursorKey(url.replace("4", "5")));
  });
});

describe("what is no notice", () => {
  const id = "1795253806000-0a1b2c3d";
  const whole = encodeNotice({ notice: noticeOf(downloaded("v0"), { id }), deploy: null });

  test.each<[string, (directory: string) => void]>([
    ["a torn one", (dir) => writeFileSync(join(dir, `${id}.json`), whole.slice(0, 60))],
    ["an empty one", (dir) => writeFileSync(join(dir, `${id}.json`), "")],
    ["one of another id", (dir) => writeFileSync(join(dir, "1795253806001-0a1b2c3d.json"), whole)],
    [
      "one of a newer dewy",
      (dir) => writeFileSync(join(dir, `${id}.json`), whole.replace('"version":1', '"version":2')),
    ],
    [
      "one of an unknown kind",
      (dir) => writeFileSync(join(dir, `${id}.json`), whole.replace("downloaded", "beamed")),
    ],
    ["a foreign file", (dir) => writeFileSync(join(dir, "notes.txt"), "milk")],
    ["a foreign directory", (dir) => mkdirSync(join(dir, "photos/2026"), { recursive: true })],
    [
      "a link, even to a whole one",
      (dir) => {
        const elsewhere = join(dir, "../elsewhere.json");
        writeFileSync(elsewhere, whole);
        symlinkSync(elsewhere, join(dir, `${id}.json`));
      },
    ],
    ["a directory by a notice's name", (dir) => mkdirSync(join(dir, `${id}.json`))],
  ])("%s is set aside with one WARN, and the others are told", (_, spoil) => {
    using host = new OutboxHost();
    host.open().add(downloaded("v1"));
    spoil(host.path);
    const before = readdirSync(host.path).filter((name) => !host.files().includes(name));
    const outbox = host.open();
    expect(host.log.at("warn")).toEqual(["Files in the outbox are no notices; set aside"]);
    expect(readdirSync(join(host.path, "unreadable"))).toHaveLength(1);
    expect(before.length).toBeGreaterThan(0);
    outbox.add(downloaded("v2"));
    expect(drain(outbox, ops.key)).toEqual(["v1", "v2"]);
    host.open();
    expect(host.log.at("warn")).toHaveLength(1);
  });

  test("a cursor that can't be read: its notifier is told rather twice than never", () => {
    using host = new OutboxHost();
    const outbox = host.open({ readers: [ops, mail] });
    for (const tag of ["v1", "v2"]) outbox.add(downloaded(tag));
    const first = outbox.next(ops.key);
    if (first !== null) outbox.done(ops.key, first);
    writeFileSync(join(host.path, `cursor-${ops.key}.json`), "{");
    const next = host.open({ readers: [ops, mail] });
    expect(host.log.at("warn")).toHaveLength(1);
    expect(drain(next, ops.key)).toEqual(["v1", "v2"]);
    expect(drain(next, mail.key)).toEqual(["v1", "v2"]);
  });

  test("what a killed writer left goes", async () => {
    using host = new OutboxHost();
    host.open();
    const left = partialPath(join(host.path, "notice")).replace(`-${process.pid}-`, "-999999999-");
    writeFileSync(left, whole);
    host.open();
    await until("it is gone", () => !readdirSync(host.path).some((name) => name.startsWith(".")));
    expect(host.log.at("warn")).toEqual([]);
  });
});

describe("an outbox that is full", () => {
  const limits = { notices: 4, sizeBytes: 1024 * 1024 };

  test("drops the oldest informational ones first, then the oldest of the others, and tells how many", () => {
    using host = new OutboxHost();
    const outbox = host.open({ limits });
    for (const tag of ["i1", "i2", "i3"]) outbox.add(downloaded(tag));
    for (const tag of ["d1", "d2", "d3"]) outbox.add(deployed(tag));
    expect(host.files()).toHaveLength(4);
    expect(drain(host.open({ limits }), ops.key)).toEqual(["dropped 2", "i3", "d1", "d2", "d3"]);
    expect(drain(host.open({ limits }), ops.key)).toEqual([]);
  });

  test.each<[string[], string[]]>([
    [
      ["d1", "d2", "d3", "d4", "d5"],
      ["dropped 1", "d2", "d3", "d4", "d5"],
    ],
    [
      ["d1", "d2", "d3", "d4", "i1"],
      ["dropped 1", "d1", "d2", "d3", "d4"],
    ],
    [
      ["i1", "d1", "d2", "d3", "d4", "d5"],
      ["dropped 2", "d2", "d3", "d4", "d5"],
    ],
    [
      ["d1", "i1", "d2", "i2", "d3", "i3"],
      ["dropped 2", "d1", "d2", "d3", "i3"],
    ],
  ])("of %j keeps the newest and the weightiest", (added, told) => {
    using host = new OutboxHost();
    const outbox = host.open({ limits });
    for (const tag of added) outbox.add(tag.startsWith("d") ? deployed(tag) : downloaded(tag));
    expect(drain(outbox, ops.key)).toEqual(told);
    expect(host.files()).toEqual([]);
  });

  test("is full by its size, too", () => {
    using host = new OutboxHost();
    const outbox = host.open({ limits: { notices: 1000, sizeBytes: 300_000 } });
    const stdout = "x".repeat(64 * 1024);
    for (let hooks = 0; hooks < 8; hooks++) {
      outbox.add({ ...failedHook, result: { ...failedHook.result, stdout } });
    }
    outbox.add(deployed("d1"));
    expect(drain(outbox, ops.key)).toEqual(["dropped 4", "hook", "hook", "hook", "hook", "d1"]);
  });

  test("drops nothing that is on its way at the moment", () => {
    using host = new OutboxHost();
    const outbox = host.open({ limits });
    outbox.add(downloaded("i1"));
    const underWay = outbox.next(ops.key);
    for (const tag of ["i2", "i3", "i4", "i5", "i6"]) outbox.add(downloaded(tag));
    expect(underWay !== null && signOf(underWay.event)).toBe("i1");
    if (underWay !== null) outbox.done(ops.key, underWay);
    expect(drain(outbox, ops.key)).toEqual(["dropped 1", "i3", "i4", "i5", "i6"]);
  });

  test("tells each notifier of those that it missed, and that it would have been told", () => {
    using host = new OutboxHost();
    const readers = [ops, mail, errorsOnly];
    const outbox = host.open({ limits, readers });
    for (const tag of ["i1", "i2", "i3"]) outbox.add(downloaded(tag));
    expect(drain(outbox, mail.key)).toEqual(["i1", "i2", "i3"]);
    for (const tag of ["i4", "i5", "i6"]) outbox.add(downloaded(tag));
    const again = host.open({ limits, readers });
    expect(drain(again, ops.key)).toEqual(["dropped 2", "i3", "i4", "i5", "i6"]);
    expect(drain(again, mail.key)).toEqual(["i4", "i5", "i6"]);
    expect(drain(again, errorsOnly.key)).toEqual([]);
  });

  test("goes on counting while the notice of it is on its way", () => {
    using host = new OutboxHost();
    const outbox = host.open({ limits });
    for (const tag of ["i1", "i2", "i3", "i4", "i5"]) outbox.add(downloaded(tag));
    const first = outbox.next(ops.key);
    outbox.add(downloaded("i6"));
    expect(first?.event).toEqual({ kind: "dropped", count: 1 });
    expect(isNoticeId(first?.id ?? "")).toBe(true);
    if (first !== null) outbox.done(ops.key, first);
    expect(drain(outbox, ops.key)).toEqual(["dropped 1", "i3", "i4", "i5", "i6"]);
  });

  test("holds 1,000 notices and 16 MiB when nothing else is said", () => {
    using host = new OutboxHost();
    const outbox = host.open();
    for (let count = 0; count < 1003; count++) outbox.add(downloaded(`i${count}`));
    expect(outbox.waiting(ops.key)).toBe(1000);
    expect(outbox.next(ops.key)?.event).toEqual({ kind: "dropped", count: 3 });
  });
});

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

describe("the success of a deploy", () => {
  test("is known over restarts, before and after it was sent", () => {
    using host = new OutboxHost();
    host.open().add(deployed("v1"), { deploy: "d1" });
    const outbox = host.open();
    expect(outbox.hasTold("d1")).toBe(true);
    expect(outbox.hasTold("d2")).toBe(false);
    drain(outbox, ops.key);
    expect(host.open().hasTold("d1")).toBe(true);
    expect(drain(host.open(), ops.key)).toEqual([]);
  });

  test("is forgotten for the next one", () => {
    using host = new OutboxHost();
    const outbox = host.open();
    for (const deploy of ["d1", "d2", "d3"]) {
      outbox.add(deployed(deploy), { deploy });
      drain(outbox, ops.key);
    }
    expect(host.files()).toHaveLength(1);
    expect(host.open().hasTold("d3")).toBe(true);
  });

  test("of the time before there was anybody to tell is nobody's business", () => {
    using host = new OutboxHost();
    expect(host.open().hasTold("d1")).toBe(true);
    expect(host.open().hasTold("d1")).toBe(false);
  });
});

test("ids grow, whatever the clock does", () => {
  const now = new Date("2026-11-21T09:36:46.000Z");
  let last = "";
  for (const at of [now, now, new Date(0), now, new Date(now.getTime() + 1000)]) {
    const id = nextNoticeId(last, at);
    expect(isNoticeId(id)).toBe(true);
    expect(id > last).toBe(true);
    last = id;
  }
});
