import { describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { filterOf } from "../../src/notify/filter.ts";
import { decodeNotice, encodeNotice } from "../../src/notify/notice-file.ts";
import { isNoticeId, nextNoticeId } from "../../src/notify/notice-id.ts";
import { partialPath } from "../../src/util/partial.ts";
import { events, failedHook, noticeOf } from "../support/notices.ts";
import { deployed, downloaded, drain, OutboxHost, readerOf } from "../support/outbox-host.ts";
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

  test("of a release that can't be left is a failure to a dewy that knows no such kind, and is read as it was written before", () => {
    const { stranded } = Object.fromEntries(events.map((event) => [event.kind, event]));
    if (stranded?.kind !== "stranded") throw new Error("no such event");
    const stored = { notice: noticeOf(stranded), deploy: null };
    expect(JSON.parse(encodeNotice(stored)).notice.event).toMatchObject({
      kind: "failed",
      tag: "v1.2.3",
      servingTag: "v1.2.3",
      message:
        "it should be left, and can't be: it died in its soak. no good release before it is known here",
      hint: "publish a fixed version",
    });
    expect(decodeNotice(JSON.stringify({ version: 1, ...stored }))).toEqual(stored);
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

  test("that no notifier wants to know is told by none", () => {
    using host = new OutboxHost();
    host.open({ readers: [errorsOnly] });
    const outbox = host.open({ readers: [errorsOnly] });
    expect(outbox.hasTold("d1")).toBe(true);
    expect(host.open({ readers: [errorsOnly, ops] }).hasTold("d1")).toBe(false);
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
