import { describe, expect, test } from "bun:test";
import { renameSync, rmSync, writeFileSync } from "node:fs";
import { DewyError } from "../../src/errors.ts";
import { MessageRefused } from "../../src/notify/notifier.ts";
import type { Outbox } from "../../src/notify/outbox.ts";
import { Sender } from "../../src/notify/sender.ts";
import { downloaded, OutboxHost, readerOf } from "../support/outbox-host.ts";
import { fails, hangs, ignoresAll, ScriptedNotifier, throwsAtOnce } from "../support/scripted-notifier.ts";

const ops = readerOf("slack://ops");
const other = readerOf("slack://other");
const away = new DewyError("network-unreachable", "no connection to slack.com", { hint: "see the cable" });
const limited = (seconds: number) =>
  new DewyError("rate-limited", "slack.com limits calls", { retryAfterMs: seconds * 1000 });
const refused = new DewyError("unauthorized", "slack.com refused the token", { hint: "set SLACK_TOKEN" });
const tooLong = new MessageRefused("bad-answer", "slack.com finds it too long", "print less");
const minute = 60_000;

class SenderHost implements AsyncDisposable {
  readonly #host = new OutboxHost();
  readonly clock = this.#host.clock;
  readonly log = this.#host.log;
  readonly hurry = new AbortController();
  readonly outbox: Outbox;
  readonly #senders: Sender[] = [];

  constructor() {
    this.outbox = this.#host.open({ readers: [ops, other] });
  }

  /** Full jitter: pauses are as long as they can be. */
  send(notifier: ScriptedNotifier, { key } = ops, outbox = this.outbox): Sender {
    const { clock, log } = this;
    const deps = {
      outbox,
      clock,
      log,
      random: () => 1,
      hurry: this.hurry.signal,
      onStep: () => undefined,
    };
    const sender = new Sender({ key, notifier }, deps);
    this.#senders.push(sender);
    return sender;
  }

  add(...tags: readonly string[]): void {
    for (const tag of tags) this.outbox.add(downloaded(tag));
  }

  /** The disk gives nothing back until the returned function is called. */
  loseDisk(): () => void {
    const { path } = this.#host;
    renameSync(path, `${path}.away`);
    writeFileSync(path, "");
    return () => {
      rmSync(path);
      renameSync(`${path}.away`, path);
    };
  }

  reopened(): Outbox {
    return this.#host.open({ readers: [ops, other] });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.hurry.abort();
    await Promise.all(this.#senders.map((sender) => sender[Symbol.asyncDispose]()));
    this.#host[Symbol.dispose]();
  }
}

describe("a sender", () => {
  test("sends in order, one at a time, what is there and what comes", async () => {
    await using host = new SenderHost();
    host.add("v1", "v2", "v3");
    const notifier = new ScriptedNotifier();
    host.send(notifier);
    await host.clock.advance(0);
    host.add("v4");
    await host.clock.advance(0);
    expect(notifier.taken).toEqual(["v1", "v2", "v3", "v4"]);
    expect(notifier.together).toBe(1);
    expect(host.log.records).toEqual([]);
  });

  test("begins with what an earlier agent left, and with nothing that it sent", async () => {
    await using host = new SenderHost();
    host.add("v1", "v2", "v3");
    const first = new ScriptedNotifier().first(async () => undefined, hangs);
    host.send(first);
    await host.clock.advance(0);
    expect(first.taken).toEqual(["v1"]);
    const second = new ScriptedNotifier();
    host.send(second, ops, host.reopened());
    await host.clock.advance(0);
    expect(second.taken).toEqual(["v2", "v3"]);
  });

  test("says how many notices wait, and why, until they are taken", async () => {
    await using host = new SenderHost();
    host.add("v1", "v2");
    const sender = host.send(new ScriptedNotifier().first(fails(away)));
    await host.clock.advance(0);
    const { name } = sender.view();
    expect(name).not.toBe("");
    expect(sender.view()).toEqual({ name, waiting: 2, problem: "no connection to slack.com" });
    await host.clock.advance(1000);
    await host.clock.advance(0);
    expect(sender.view()).toEqual({ name, waiting: 0, problem: null });
  });

  test("tries again for ever, ever later; one WARN at the start of an outage, one INFO at its end", async () => {
    await using host = new SenderHost();
    host.add("v1");
    const notifier = new ScriptedNotifier().first(...Array.from({ length: 12 }, () => fails(away)));
    host.send(notifier);
    const pauses = [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300];
    for (const [index, seconds] of pauses.entries()) {
      await host.clock.advance(0);
      expect(notifier.calls).toBe(index + 1);
      await host.clock.advance(seconds * 1000 - 1);
      expect(notifier.calls).toBe(index + 1);
      await host.clock.advance(1);
      if (index === 5) host.add("v2", "v3");
    }
    expect(notifier.taken).toEqual(["v1", "v2", "v3"]);
    expect(host.log.records).toMatchObject([
      {
        level: "warn",
        message: "Notifier not reached; its notices wait",
        attributes: { notifier: "slack://ops", error: "no connection to slack.com", hint: "see the cable" },
      },
      { level: "info", message: "Notifier works again", attributes: { notifier: "slack://ops", waited: 3 } },
    ]);
  });

  test("warns again in the next outage, and begins with short pauses", async () => {
    await using host = new SenderHost();
    const notifier = new ScriptedNotifier().first(
      fails(away),
      fails(away),
      async () => undefined,
      fails(away),
    );
    host.send(notifier);
    host.add("v1", "v2");
    await host.clock.advance(4000);
    expect(notifier.taken).toEqual(["v1", "v2"]);
    expect(host.log.at("warn")).toHaveLength(2);
    expect(host.log.at("info")).toHaveLength(2);
  });

  test.each([
    [20, 20],
    [0.2, 1],
    [365 * 86_400, 65 * 60],
  ])("waits as long as the service says: %p s means %p s", async (said, waited) => {
    await using host = new SenderHost();
    host.add("v1");
    const notifier = new ScriptedNotifier().first(fails(limited(said)));
    host.send(notifier);
    await host.clock.advance(waited * 1000 - 1);
    expect(notifier.calls).toBe(1);
    await host.clock.advance(1);
    expect(notifier.taken).toEqual(["v1"]);
  });

  test.each([
    ["heeds its signal", hangs],
    ["does not heed its signal", ignoresAll],
  ])("leaves a call after 30 s that has no answer and %s", async (_, hanging) => {
    await using host = new SenderHost();
    host.add("v1");
    const notifier = new ScriptedNotifier().first(hanging);
    host.send(notifier);
    await host.clock.advance(29_999);
    expect(host.log.at("warn")).toEqual([]);
    await host.clock.advance(1);
    expect(host.log.records[0]?.attributes).toMatchObject({ error: "slack://ops: no answer within 30s" });
    await host.clock.advance(1000);
    expect(notifier.taken).toEqual(["v1"]);
  });

  test("drops what will never be taken, with one WARN that holds its text, cause and hint, and goes on", async () => {
    await using host = new SenderHost();
    host.add("v1", "v2");
    const notifier = new ScriptedNotifier().first(fails(tooLong));
    host.send(notifier);
    await host.clock.advance(0);
    expect(notifier.taken).toEqual(["v2"]);
    expect(host.log.records).toMatchObject([
      {
        level: "warn",
        attributes: {
          notifier: "slack://ops",
          kind: "downloaded",
          message: "Downloaded artifact for v1",
          error: "slack.com finds it too long",
          hint: "print less",
        },
      },
    ]);
  });

  test("keeps all while somebody has to put something right, asks ever more rarely, and then sends it in order", async () => {
    await using host = new SenderHost();
    const notifier = new ScriptedNotifier().first(...Array.from({ length: 9 }, () => fails(refused)));
    host.send(notifier);
    host.add("v1", "v2");
    for (const [index, minutes] of [1, 2, 4, 8, 16, 32, 60, 60, 60].entries()) {
      await host.clock.advance(0);
      expect(notifier.calls).toBe(index + 1);
      await host.clock.advance(minutes * minute - 1);
      expect(notifier.calls).toBe(index + 1);
      await host.clock.advance(1);
    }
    expect(notifier.taken).toEqual(["v1", "v2"]);
    expect(host.log.records).toMatchObject([
      {
        level: "warn",
        message: "Notifier refused; its notices wait until that is put right",
        attributes: { error: "slack.com refused the token", hint: "set SLACK_TOKEN" },
      },
      { level: "info", message: "Notifier works again", attributes: { waited: 2 } },
    ]);
  });

  test("warns once of each kind of trouble, however they alternate", async () => {
    await using host = new SenderHost();
    const troubles = [away, refused, away, refused, away].map(fails);
    host.send(new ScriptedNotifier().first(...troubles));
    host.add("v1");
    await host.clock.advance(10 * minute);
    expect(host.log.at("warn")).toEqual([
      "Notifier not reached; its notices wait",
      "Notifier refused; its notices wait until that is put right",
    ]);
    expect(host.log.at("info")).toEqual(["Notifier works again"]);
  });

  test("waits for a disk that does not give a notice back, and loses nothing", async () => {
    await using host = new SenderHost();
    host.add("v1", "v2");
    const restore = host.loseDisk();
    const notifier = new ScriptedNotifier();
    host.send(notifier);
    await host.clock.advance(10_000);
    expect(notifier.calls).toBe(0);
    expect(host.log.at("warn")).toEqual(["Notice not readable; it waits"]);
    restore();
    await host.clock.advance(10_000);
    expect(notifier.taken).toEqual(["v1", "v2"]);
  });

  test("gives each service the time it needs", async () => {
    await using host = new SenderHost();
    host.add("v1");
    const slow = Promise.withResolvers<void>();
    const notifier = Object.assign(new ScriptedNotifier(), { deadlineMs: 11 * minute });
    host.send(notifier.first(() => slow.promise));
    await host.clock.advance(11 * minute - 1);
    slow.resolve();
    await host.clock.advance(minute);
    expect(notifier.calls).toBe(1);
    expect(notifier.taken).toEqual(["v1"]);
  });

  test.each([
    ["rejects with", fails(new Error("surprise"))],
    ["throws", throwsAtOnce],
  ])("gives up a notice for which the notifier %s what it should not, after five tries", async (_, wrong) => {
    await using host = new SenderHost();
    host.add("v1", "v2");
    const notifier = new ScriptedNotifier().first(...Array.from({ length: 6 }, () => wrong));
    host.send(notifier);
    await host.clock.advance(60_000);
    expect(notifier.taken).toEqual(["v2"]);
    expect(host.log.at("warn")).toHaveLength(2);
  });

  test("that fails keeps nothing from another", async () => {
    await using host = new SenderHost();
    const notifier = new ScriptedNotifier();
    host.send(new ScriptedNotifier().first(hangs));
    host.send(notifier, other);
    host.add("v1", "v2");
    await host.clock.advance(0);
    expect(notifier.taken).toEqual(["v1", "v2"]);
  });
});

describe("at its end a sender", () => {
  test("brings home what is pending and closes the notifier, once", async () => {
    await using host = new SenderHost();
    const notifier = new ScriptedNotifier();
    const sender = host.send(notifier);
    host.add("v1", "v2");
    await sender[Symbol.asyncDispose]();
    await sender[Symbol.asyncDispose]();
    expect(notifier.taken).toEqual(["v1", "v2"]);
    expect(notifier.closed).toBe(1);
    expect(host.clock.sleeping).toBe(0);
    expect(host.log.records).toEqual([]);
  });

  test("in the middle of an outage tries once more at once", async () => {
    await using host = new SenderHost();
    const failing = Array.from({ length: 8 }, () => fails(away));
    const notifier = new ScriptedNotifier().first(...failing);
    const sender = host.send(notifier);
    host.add("v1");
    await host.clock.advance(130_000);
    expect(notifier.calls).toBe(8);
    await sender[Symbol.asyncDispose]();
    expect(notifier.taken).toEqual(["v1"]);
  });

  test("that fails again leaves the rest for the next start, and says so", async () => {
    await using host = new SenderHost();
    const notifier = new ScriptedNotifier().first(...Array.from({ length: 20 }, () => fails(away)));
    const sender = host.send(notifier);
    host.add("v1", "v2");
    await host.clock.advance(130_000);
    const { calls } = notifier;
    await sender[Symbol.asyncDispose]();
    expect(notifier.calls).toBe(calls + 1);
    expect(host.log.records.at(-1)).toMatchObject({
      level: "warn",
      message: "Notices wait for the next start",
      attributes: { notifier: "slack://ops", waiting: 2 },
    });
    const next = new ScriptedNotifier();
    host.send(next, ops, host.reopened());
    await host.clock.advance(0);
    expect(next.taken).toEqual(["v1", "v2"]);
  });

  test.each([
    [5, ["v1"]],
    [30, []],
  ])("waits for a service that asked for %p s, if that is in time", async (seconds, taken) => {
    await using host = new SenderHost();
    const notifier = new ScriptedNotifier().first(fails(limited(seconds)));
    const sender = host.send(notifier);
    host.add("v1");
    await host.clock.advance(0);
    const closing = sender[Symbol.asyncDispose]();
    await host.clock.advance(10_000);
    await closing;
    expect(notifier.taken).toEqual(taken);
    expect(notifier.calls).toBe(1 + taken.length);
  });

  test("goes on trying as long as there is time", async () => {
    await using host = new SenderHost();
    const notifier = new ScriptedNotifier().first(hangs, fails(away), fails(away));
    const sender = host.send(notifier);
    host.add("v1");
    await host.clock.advance(29_000);
    const closing = sender[Symbol.asyncDispose]();
    await host.clock.advance(10_000);
    await closing;
    expect(notifier.taken).toEqual(["v1"]);
  });

  test.each([
    ["heeds its signal", hangs],
    ["does not heed its signal", ignoresAll],
  ])("waits ten seconds for a service that hangs and %s, no longer", async (_, hanging) => {
    await using host = new SenderHost();
    const notifier = new ScriptedNotifier().first(hanging);
    const sender = host.send(notifier);
    host.add("v1");
    let isClosed = false;
    const closing = sender[Symbol.asyncDispose]().then(() => {
      isClosed = true;
    });
    await host.clock.advance(9999);
    expect(isClosed).toBe(false);
    await host.clock.advance(1);
    await closing;
    expect(host.log.at("warn")).toEqual(["Notices wait for the next start"]);
    expect(host.outbox.waiting(ops.key)).toBe(1);
  });

  test("waits for nothing when it is to hurry", async () => {
    await using host = new SenderHost();
    const sender = host.send(new ScriptedNotifier().first(hangs));
    host.add("v1");
    await host.clock.advance(0);
    const closing = sender[Symbol.asyncDispose]();
    host.hurry.abort();
    await closing;
    expect(host.clock.sleeping).toBe(0);
  });

  test("survives a notifier that can't be closed", async () => {
    await using host = new SenderHost();
    const notifier = new ScriptedNotifier();
    notifier.onClose = () => Promise.reject(new Error("stuck"));
    await host.send(notifier)[Symbol.asyncDispose]();
    expect(host.log.records).toMatchObject([{ level: "warn", attributes: { error: "stuck" } }]);
  });
});
