import { describe, expect, test } from "bun:test";
import { filterOf } from "../../src/notify/filter.ts";
import { isNoticeId } from "../../src/notify/notice-id.ts";
import { failedHook } from "../support/notices.ts";
import { deployed, downloaded, drain, OutboxHost, readerOf, signOf } from "../support/outbox-host.ts";

const ops = readerOf("slack://ops");
const mail = readerOf("smtp://host/ops@example.com");
const errorsOnly = readerOf("slack://errors", filterOf({ on: ["error"], quiet: null }));

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

  test("of what nobody but an absent notifier waits for drops that first, and counts it to nobody", () => {
    using host = new OutboxHost();
    host.open({ limits, readers: [ops, mail] }).add(downloaded("v0"));
    const outbox = host.open({ limits });
    const tags = ["d1", "d2", "d3", "d4"];
    for (const tag of tags) {
      outbox.add(deployed(tag));
      drain(outbox, ops.key);
    }
    for (const tag of ["i1", "i2", "i3", "i4"]) {
      outbox.add(downloaded(tag));
      expect(outbox.waiting(ops.key)).toBe(Number(tag.slice(1)));
    }
    expect(drain(outbox, ops.key)).toEqual(["i1", "i2", "i3", "i4"]);
  });

  test("for an absent notifier still knows the last success, so that nobody is told of it twice", () => {
    using host = new OutboxHost();
    host.open({ limits, readers: [ops, mail] });
    const outbox = host.open({ limits });
    outbox.add(deployed("v1"), { deploy: "d1" });
    drain(outbox, ops.key);
    for (const tag of ["i1", "i2", "i3", "i4", "i5", "i6"]) {
      outbox.add(downloaded(tag));
      drain(outbox, ops.key);
    }
    expect(host.open({ limits }).hasTold("d1")).toBe(true);
  });

  test("keeps failed hooks longer than those that went well", () => {
    using host = new OutboxHost();
    const outbox = host.open({ limits });
    outbox.add(failedHook);
    for (const tag of ["i1", "i2", "i3", "i4"]) outbox.add(downloaded(tag));
    expect(drain(outbox, ops.key)).toEqual(["dropped 1", "hook", "i2", "i3", "i4"]);
  });

  test("tells of it under one id until that is taken, and under another the next time", () => {
    using host = new OutboxHost();
    const outbox = host.open({ limits });
    const overflow = () => {
      for (const tag of ["d1", "d2", "d3", "d4", "d5"]) outbox.add(deployed(tag));
    };
    overflow();
    const first = outbox.next(ops.key);
    // Whatever is sent first of what is left, and however often the agent starts.
    outbox.add(downloaded("i1"));
    const again = [outbox.next(ops.key)?.id, host.open({ limits }).next(ops.key)?.id];
    expect(again).toEqual([first?.id, first?.id]);
    expect(isNoticeId(first?.id ?? "")).toBe(true);
    if (first !== null) outbox.done(ops.key, first);
    overflow();
    const second = outbox.next(ops.key);
    expect(second?.event.kind).toBe("dropped");
    expect(second?.id).not.toBe(first?.id);
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
    // A thousand files, each on disk for good.
  }, 60_000);
});
