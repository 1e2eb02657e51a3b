import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { DewyError } from "../../src/errors.ts";
import { openMail } from "../../src/notify/mail/notifier.ts";
import { mailParams, readMailUrl } from "../../src/notify/mail/url.ts";
import type { Notifier } from "../../src/notify/notifier.ts";
import { Sender } from "../../src/notify/sender.ts";
import { readQuery } from "../../src/util/query.ts";
import { FakeClock } from "../support/clock.ts";
import { failedHook, noticeOf } from "../support/notices.ts";
import { OutboxHost, readerOf } from "../support/outbox-host.ts";
import { recordingLog } from "../support/recording.ts";
import { MailServer, type SmtpFailure, startGreeter } from "../support/smtp-server.ts";
import { startBlackHole } from "../support/tcp-black-hole.ts";
import { until } from "../support/until.ts";
import { notifierContract, type ServiceFailure } from "./contract.ts";

const login = { username: "MyUser", password: "planted-pAsS1234" };
const notice = noticeOf({ kind: "downloaded", tag: "v1.2.3" });
const forEver = { signal: new AbortController().signal };
const credentials = `username=${login.username}&password=${login.password}`;

/** Without encryption: TLS and a private authority need a process of their own (mail-tls.test.ts). */
function open(port: number, { query = "", to = "ops@example.com", tls = "tls=false" } = {}) {
  const log = recordingLog();
  const url = new URL(`smtp://127.0.0.1:${port}/${to}?${tls}&${query}`);
  const clock = new FakeClock();
  return { notifier: openMail(readMailUrl(url, readQuery(url, mailParams), {}), { log, clock }), log, clock };
}

async function failureOf(notifier: Notifier): Promise<DewyError> {
  const error = await notifier.notify(notice, forEver).catch((thrown: unknown) => thrown);
  if (!(error instanceof DewyError)) throw new Error(`not a DewyError: ${error}`);
  const shown = Bun.inspect(error, { depth: 10 });
  for (const secret of Object.values(login)) {
    expect(shown).not.toContain(secret);
    expect(shown).not.toContain(Buffer.from(secret).toString("base64"));
  }
  return error;
}

const failures: Readonly<Record<ServiceFailure, SmtpFailure>> = {
  limited: { at: "rcpt", reply: "450 4.2.0 Greylisted" },
  broken: { at: "cut" },
  refused: { at: "login", reply: `535 5.7.8 ${login.username}, ${login.password} is wrong` },
  hang: { at: "hang" },
};

notifierContract(
  "smtp://",
  async () => {
    const server = await MailServer.start({ tls: "none", login });
    const { notifier } = open(server.port, { query: credentials });
    return {
      notifier,
      received: async () => server.mails.map(({ text }) => text),
      fail: (how) => server.fail(failures[how]),
      heal: () => server.heal(),
      secret: login.password,
      async [Symbol.asyncDispose]() {
        await notifier[Symbol.asyncDispose]();
        await server[Symbol.asyncDispose]();
      },
    };
  },
  { remedy: /password/, namesNoTime: "SMTP's 4xx replies name none" },
);

describe("a mail", () => {
  test("has its head as it should be, and goes to everybody at once", async () => {
    await using server = await MailServer.start({ tls: "none" });
    const { notifier, log } = open(server.port, {
      to: "a@b.c,d@e.f",
      query: "to=g@h.i&from=D%C3%BCwy%20<dewy@example.com>&subject=App%20%E2%86%92",
    });
    await notifier.notify(notice, forEver);
    const [mail] = server.mails;
    expect(mail).toMatchObject({
      from: "dewy@example.com",
      to: ["a@b.c", "d@e.f", "g@h.i"],
      secure: false,
      user: null,
    });
    expect(Object.fromEntries(mail?.headers ?? [])).toMatchObject({
      from: "Düwy <dewy@example.com>",
      to: "a@b.c, d@e.f, g@h.i",
      subject: "App →: v1.2.3 downloaded on web1",
      date: "Sat, 21 Nov 2026 09:36:46 +0000",
      "auto-submitted": "auto-generated",
      "content-type": "text/plain; charset=utf-8",
    });
    expect(log.records).toEqual([]);
  });

  test("that is sent again has the same id", async () => {
    await using server = await MailServer.start({ tls: "none" });
    const { notifier } = open(server.port);
    await notifier.notify(notice, forEver);
    await notifier.notify(notice, forEver);
    await notifier.notify(noticeOf({ kind: "downloaded", tag: "v1.2.4" }), forEver);
    const ids = server.mails.map(({ headers }) => headers.get("message-id"));
    expect(ids[0]).toMatch(/^<dewy\.\w+@web1>$/);
    expect(new Set(ids).size).toBe(2);
    expect(ids[0]).toBe(ids[1]);
  });

  test("gets no header, recipient or end from what it tells of", async () => {
    await using server = await MailServer.start({ tls: "none" });
    const evil = "v1\r\nBcc: evil@example.com\r\n\r\nhello\r\n.\r\nMAIL FROM:<x@y.z>";
    const result = { ...failedHook.result, stdout: evil, command: evil };
    const { notifier } = open(server.port);
    await notifier.notify(noticeOf({ kind: "downloaded", tag: evil }, { host: evil, root: evil }), forEver);
    await notifier.notify(noticeOf({ ...failedHook, result }, { host: evil }), forEver);
    expect(server.mails).toHaveLength(2);
    for (const { headers, to, raw } of server.mails) {
      expect(to).toEqual(["ops@example.com"]);
      expect([...headers.keys()].sort()).toEqual([
        "auto-submitted",
        "content-transfer-encoding",
        "content-type",
        "date",
        "from",
        "message-id",
        "mime-version",
        "subject",
        "to",
      ]);
      for (const line of raw.split("\r\n")) expect(line.length).toBeLessThan(998);
    }
    expect(server.mails[1]?.text).toContain("\nhello\n.\nMAIL FROM:<x@y.z>\n");
  });
});

describe("a server that takes its time to look at a mail", () => {
  test("longer than other services may is sent it once", async () => {
    await using server = await MailServer.start({ tls: "none" });
    using host = new OutboxHost();
    const outbox = host.open();
    const { clock } = host;
    const { notifier, log } = open(server.port);
    const hurry = new AbortController();
    const deps = { outbox, clock, log, random: () => 1, hurry: hurry.signal, onStep: () => undefined };
    server.fail({ at: "look" });
    outbox.add(notice.event);
    await using _ = new Sender({ key: readerOf("slack://ops").key, notifier }, deps);
    await until("the mail is there", () => server.lookedAt === 1);
    await clock.advance(9 * 60_000);
    server.release();
    await until("it is done with", () => outbox.waiting(readerOf("slack://ops").key) === 0);
    expect(server.mails).toHaveLength(1);
    expect(log.records).toEqual([]);
  });

  test("does not hold up the end", async () => {
    await using server = await MailServer.start({ tls: "none" });
    server.fail({ at: "look" });
    const stop = new AbortController();
    const sending = open(server.port).notifier.notify(notice, stop);
    await until("the mail is there", () => server.lookedAt === 1);
    const reason = new DewyError("stopped", "stop");
    stop.abort(reason);
    await expect(sending).rejects.toBe(reason);
    await until("the connection is closed", () => server.connections === 0);
  });
});

describe("a login", () => {
  test("that is right is used", async () => {
    await using server = await MailServer.start({ tls: "none", login, loginRequired: true });
    const { notifier, log } = open(server.port, { query: credentials });
    await notifier.notify(notice, forEver);
    expect(server.mails[0]?.user).toBe(login.username);
    // In clear it is no secret: that is told, once.
    expect(log.records).toHaveLength(1);
    expect(log.records[0]).toMatchObject({
      level: "warn",
      message: expect.stringContaining("without encryption"),
    });
  });

  test("that is wrong is an error", async () => {
    await using server = await MailServer.start({ tls: "none", login: { ...login, password: "another" } });
    const error = await failureOf(open(server.port, { query: credentials }).notifier);
    expect(error).toMatchObject({ code: "unauthorized", retryable: false });
    expect(error.message).toContain("refuses the login (535");
    expect(server.mails).toEqual([]);
  });

  test("that is missing where one is wanted is an error", async () => {
    await using server = await MailServer.start({ tls: "none", login, loginRequired: true });
    const error = await failureOf(open(server.port).notifier);
    expect(error).toMatchObject({ code: "unauthorized", retryable: false });
    expect(error.hint).toContain("MAIL_USERNAME");
  });

  test("is not silently left out where the server knows none", async () => {
    await using server = await MailServer.start({ tls: "none" });
    const error = await failureOf(open(server.port, { query: credentials }).notifier);
    expect(error).toMatchObject({ code: "unauthorized", retryable: false });
    expect(error.hint).toContain("leave out username=");
    expect(server.mails).toEqual([]);
  });

  test("goes nowhere in clear unless the URL says so", async () => {
    await using server = await MailServer.start({ tls: "none", login });
    const error = await failureOf(open(server.port, { query: credentials, tls: "tls=true" }).notifier);
    expect(error).toMatchObject({ code: "http-status", retryable: false });
    expect(error.message).toContain("offers no STARTTLS");
    expect(error.hint).toContain("tls=false sends in clear");
    expect(server.logins).toEqual([]);
    expect(server.mails).toEqual([]);
  });
});

describe("recipients", () => {
  test("some refused: the others have the mail, and the log names who has not", async () => {
    await using server = await MailServer.start({ tls: "none", login });
    server.fail({ at: "rcpt", reply: `550 5.1.1 ${login.password}: who?`, address: "d@e.f" });
    const { notifier, log } = open(server.port, { to: "a@b.c,d@e.f", query: credentials });
    await notifier.notify(notice, forEver);
    expect(server.mails.map(({ to }) => to)).toEqual([["a@b.c"]]);
    expect(log.records.slice(1)).toEqual([
      {
        level: "warn",
        message: "Mail refused for some of the recipients",
        attributes: {
          notifier: `smtp://127.0.0.1:${server.port}/a@b.c,d@e.f`,
          notice: notice.id,
          recipients: ["d@e.f"],
          error: "550 5.1.1 ***: who?",
        },
      },
    ]);
  });

  test("one put off: it alone is tried again, until it is taken", async () => {
    await using server = await MailServer.start({ tls: "none" });
    server.fail({ at: "rcpt", reply: "450 4.2.0 Greylisted", address: "d@e.f" });
    const { notifier, log } = open(server.port, { to: "a@b.c,d@e.f" });
    const error = await failureOf(notifier);
    expect(error).toMatchObject({ code: "http-status", retryable: true });
    expect(error.message).toContain("answered 450 4.2.0 Greylisted to d@e.f");
    expect(await failureOf(notifier)).toMatchObject({ retryable: true });
    server.heal();
    await notifier.notify(notice, forEver);
    expect(server.mails.map(({ to }) => to)).toEqual([["a@b.c"], ["d@e.f"]]);
    expect(log.records).toEqual([]);
    await notifier.notify(noticeOf({ kind: "downloaded", tag: "v1.2.4" }), forEver);
    expect(server.mails.at(-1)?.to).toEqual(["a@b.c", "d@e.f"]);
  });

  test("one put off for too long: the log names it, and it holds up no other notice until it is taken", async () => {
    await using server = await MailServer.start({ tls: "none" });
    const refusal = { at: "rcpt", reply: "452 4.2.2 Full", address: "d@e.f" } as const;
    server.fail(refusal);
    const { notifier, log, clock } = open(server.port, { to: "a@b.c,d@e.f" });
    const next = (tag: string) =>
      notifier.notify(noticeOf({ kind: "downloaded", tag }, { id: tag }), forEver);
    await failureOf(notifier);
    await clock.advance(30 * 60_000);
    await notifier.notify(notice, forEver);
    await next("v2");
    expect(server.mails.map(({ to }) => to)).toEqual([["a@b.c"], ["a@b.c"]]);
    const told = {
      message: "Mail refused for some of the recipients",
      attributes: { recipients: ["d@e.f"] },
    };
    expect(log.records).toMatchObject([told, told]);
    server.heal();
    await next("v3");
    server.fail(refusal);
    await expect(next("v4")).rejects.toMatchObject({ retryable: true });
  });

  test("some put off and the others refused: the first ones are tried again", async () => {
    await using server = await MailServer.start({ tls: "none" });
    const { notifier } = open(server.port, { to: "a@b.c,d@e.f" });
    server.fail({ at: "rcpt", reply: "450 4.2.0 Greylisted", address: "a@b.c" });
    await failureOf(notifier);
    server.fail({ at: "rcpt", reply: "550 5.1.1 Who?" });
    await notifier.notify(notice, forEver);
    expect(server.mails.map(({ to }) => to)).toEqual([["d@e.f"]]);
  });

  test.each([
    ["550 5.1.1 Who?", false],
    ["450 4.2.0 Greylisted", true],
  ])("all refused with %s: an error, to be tried again: %p", async (reply, retryable) => {
    await using server = await MailServer.start({ tls: "none" });
    server.fail({ at: "rcpt", reply });
    const { notifier, log } = open(server.port, { to: "a@b.c,d@e.f" });
    const error = await failureOf(notifier);
    expect(error).toMatchObject({ code: "http-status", retryable });
    expect(error.message).toContain(`answered ${reply} to every recipient (a@b.c, d@e.f)`);
    expect(log.records).toEqual([]);
  });
});

describe("a mail server", () => {
  test.each<[string, SmtpFailure, object]>([
    ["refuses the sender", { at: "mail", reply: "553 5.7.1 No" }, { code: "http-status", retryable: false }],
    ["refuses the mail", { at: "data", reply: "554 5.7.1 Spam" }, { code: "http-status", retryable: false }],
    ["is full", { at: "data", reply: "452 4.3.1 Full" }, { code: "http-status", retryable: true }],
    ["dies with the mail", { at: "cut" }, { code: "network-unreachable", retryable: true }],
  ])("that %s is told of", async (_, failure, expected) => {
    await using server = await MailServer.start({ tls: "none" });
    server.fail(failure);
    expect(await failureOf(open(server.port).notifier)).toMatchObject(expected);
    expect(server.mails).toEqual([]);
    await until("the connection to be closed", () => server.connections === 0);
  });

  test("that hangs with the mail is left, and its connection closed", async () => {
    await using server = await MailServer.start({ tls: "none" });
    server.fail({ at: "hang" });
    const stop = new AbortController();
    const sending = open(server.port).notifier.notify(notice, stop);
    await until("the mail is there", () => server.hanging === 1);
    const reason = new DewyError("stopped", "stop");
    stop.abort(reason);
    await expect(sending).rejects.toBe(reason);
    await until("the connection to be closed", () => server.connections === 0);
  });

  test.each<[string, string | null, object, string]>([
    [
      "of another kind",
      "SSH-2.0-OpenSSH_9.7\r\n",
      { code: "bad-answer", retryable: true },
      "does not speak SMTP",
    ],
    [
      "that wants nobody",
      "554 No service\r\n",
      { code: "http-status", retryable: false },
      "answered 554 No service",
    ],
    ["that is busy", "421 Busy\r\n", { code: "http-status", retryable: true }, "answered 421 Busy"],
    ["that hangs up", null, { code: "network-unreachable", retryable: true }, "closed the connection"],
  ])("%s is named", async (_, greeting, expected, message) => {
    await using greeter = await startGreeter(greeting);
    const error = await failureOf(open(greeter.port).notifier);
    expect(error).toMatchObject(expected);
    expect(error.message).toContain(message);
  });

  test("that never greets is left when the caller does", async () => {
    await using greeter = await startGreeter("");
    const stop = new AbortController();
    const sending = open(greeter.port).notifier.notify(notice, stop);
    await until("the connection is there", () => greeter.connections === 1);
    stop.abort(new DewyError("stopped", "stop"));
    await expect(sending).rejects.toBe(stop.signal.reason);
    await until("the connection to be closed", () => greeter.connections === 0);
  });

  test("that can't be reached is left when the caller does", async () => {
    using hole = startBlackHole();
    const stop = new AbortController();
    const sending = open(hole.port).notifier.notify(notice, stop);
    await until("the attempt to connect", () => attemptsAt(hole.port) === 1);
    stop.abort(new DewyError("stopped", "stop"));
    await expect(sending).rejects.toBe(stop.signal.reason);
    await until("the attempt to end", () => attemptsAt(hole.port) === 0);
  });

  test("that hangs in the middle of STARTTLS is left, and its connection closed", async () => {
    const said: string[] = [];
    await using greeter = await startGreeter("220 hello\r\n", (line) => {
      said.push(line);
      if (line.startsWith("EHLO")) return "250-hello\r\n250 STARTTLS\r\n";
      return line === "STARTTLS\r\n" ? "220 go\r\n" : "";
    });
    const stop = new AbortController();
    const sending = open(greeter.port, { query: credentials, tls: "tls=true" }).notifier.notify(notice, stop);
    await until("the handshake to begin", () => said.length > 2);
    expect(said.slice(0, 2)).toEqual([expect.stringMatching(/^EHLO/), "STARTTLS\r\n"]);
    stop.abort(new DewyError("stopped", "stop"));
    await expect(sending).rejects.toBe(stop.signal.reason);
    await until("the connection to be closed", () => greeter.connections === 0);
  });

  test("that nobody runs may be there later", async () => {
    const greeter = await startGreeter("");
    await greeter[Symbol.asyncDispose]();
    const error = await failureOf(open(greeter.port).notifier);
    expect(error).toMatchObject({ code: "network-unreachable", retryable: true });
    expect(error.message).toContain(`127.0.0.1:${greeter.port} can't be reached (ECONNREFUSED)`);
  });

  test("is found by its name, at whichever of its addresses it listens", async () => {
    await using server = await MailServer.start({ tls: "none" });
    const url = new URL(`smtp://localhost:${server.port}/a@b.c?tls=false`);
    const log = recordingLog();
    const clock = new FakeClock();
    await openMail(readMailUrl(url, readQuery(url, mailParams), {}), { log, clock }).notify(notice, forEver);
    expect(server.mails).toHaveLength(1);
  });
});

/** Connections to the port that wait for an answer (SYN_SENT), of whoever. */
function attemptsAt(port: number): number {
  const peer = `:${port.toString(16).toUpperCase().padStart(4, "0")} 02 `;
  return readFileSync("/proc/net/tcp", "latin1").split(peer).length - 1;
}
