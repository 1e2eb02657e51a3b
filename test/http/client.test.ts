import { afterEach, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { DewyError } from "../../src/errors.ts";
import { readText } from "../../src/http/body.ts";
import { HttpClient, type HttpRequest } from "../../src/http/client.ts";
import { silentLog } from "../../src/log.ts";
import { FakeClock } from "../support/clock.ts";
import { HttpHost, type Reply } from "../support/http-host.ts";
import { tempDir } from "../support/temp-dir.ts";
import { c, client, failureOf, json, ok } from "./fixture.ts";

describe("statuses", () => {
  const table: [string, Reply, Partial<DewyError>][] = [
    ["401", { status: 401 }, { code: "unauthorized", retryable: false }],
    ["403", { status: 403 }, { code: "unauthorized" }],
    ["404", { status: 404 }, { code: "not-found" }],
    ["429", { status: 429 }, { code: "rate-limited", retryAfterMs: 60_000 }],
    ["429 with seconds", { status: 429, headers: { "Retry-After": "7" } }, { retryAfterMs: 7000 }],
    ["403 with Retry-After", { status: 403, headers: { "Retry-After": "9" } }, { code: "rate-limited" }],
    ["500", { status: 500 }, { code: "http-status", retryable: true }],
    ["400", { status: 400 }, { code: "http-status", retryable: false }],
    [
      "HTML",
      { status: 200, headers: { "Content-Type": "text/html" }, body: "<p>Log in" },
      { code: "bad-answer" },
    ],
    ["an endless answer", { status: 200, body: "1".repeat(33 * 1024 * 1024) }, { code: "bad-answer" }],
    [
      "a redirect to a file",
      { status: 302, headers: { Location: "file:///etc/passwd" } },
      { code: "bad-answer" },
    ],
    ["a redirect to nowhere", { status: 302 }, { code: "bad-answer" }],
  ];
  test.each(table)("%s", async (_, reply, expected) => {
    await using host = await HttpHost.start(() => reply);
    expect(await failureOf(json(client(), host.origin))).toMatchObject(expected);
  });

  test("an error says what GitHub said, but neither the token nor a query string", async () => {
    const body = JSON.stringify({ message: "token s3cret is bad, see https://x.example/?sig=abc" });
    const headers = { "Content-Type": "application/json" };
    await using host = await HttpHost.start(() => ({ status: 401, headers, body }));
    const error = await failureOf(
      json(client(), `${host.origin}/?key=k3y`, { Authorization: "Bearer s3cret" }),
    );
    expect(error.message).toContain("is bad");
    for (const secret of ["s3cret", "k3y", "abc"]) expect(error.message).not.toContain(secret);
  });

  test("an origin that cannot be reached is named without the query", async () => {
    const error = await failureOf(json(client(), "http://127.0.0.1:1/path?key=k3y"));
    expect(error).toMatchObject({ code: "network-unreachable", retryable: true });
    expect(error.message).toBe("ask: no connection to 127.0.0.1:1 (ECONNREFUSED)");
  });

  test("something that does not speak HTTP is a bad answer, named without the query", async () => {
    const server = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: { data: (socket) => void socket.end("NOT HTTP AT ALL\r\n\r\n") },
    });
    const error = await failureOf(json(client(), `http://127.0.0.1:${server.port}/?key=k3y`));
    expect(error.code).toBe("bad-answer");
    expect(error.message).not.toContain("k3y");
    server.stop(true);
  });
});

describe("a 401 that the caller accepts", () => {
  test("is a challenge: it neither makes the origin back off nor forgives its failures", async () => {
    await using host = await HttpHost.start(() => ({ status: 401 }));
    const clock = new FakeClock();
    const http = client(clock);
    const challenge = () => http.request({ url: host.origin, doing: "ask", accept: [401] }, c);
    const refusal = () => failureOf(http.request({ url: host.origin, doing: "ask" }, c));
    for (let times = 0; times < 5; times++) await (await challenge()).body.discard();
    expect(http.governor.waitMs(host.origin)).toBe(0);
    const waits: (number | undefined)[] = [];
    for (let times = 0; times < 3; times++) {
      await (await challenge()).body.discard();
      waits.push((await refusal()).retryAfterMs);
      await clock.advance(300_000);
    }
    expect(waits.map((ms) => Math.round((ms ?? 0) / 1000))).toEqual([1, 2, 4]);
  });
});

describe("deadlines", () => {
  const opened: AsyncDisposable[] = [];
  afterEach(async () => {
    for (const host of opened.splice(0)) await host[Symbol.asyncDispose]();
  });

  /** An answer whose first bytes were read and whose others do not come. */
  async function halfRead() {
    const host = await HttpHost.start(() => ok);
    opened.push(host);
    host.fail({ hangAfter: 3 });
    const clock = new FakeClock();
    const answer = await client(clock).request({ url: host.origin, doing: "ask" }, c);
    const reader = answer.body[Symbol.asyncIterator]();
    await reader.next();
    return { host, clock, reader };
  }

  test("silence before the head ends after 30 s", async () => {
    await using host = await HttpHost.start(() => ok);
    host.fail({ hang: true });
    const clock = new FakeClock();
    const asked = failureOf(client(clock).request({ url: host.origin, doing: "ask" }, c));
    await clock.whenSleeping(1);
    await clock.advance(30_000);
    expect((await asked).code).toBe("network-timeout");
    expect(clock.sleeping).toBe(0);
  });

  test("silence within the body ends after 30 s", async () => {
    const { clock, reader } = await halfRead();
    const rest = failureOf(reader.next());
    await clock.advance(30_000);
    expect((await rest).code).toBe("network-timeout");
    expect(clock.sleeping).toBe(0);
  });

  test("a slow reader is not taken for a silent server", async () => {
    const { clock, host, reader } = await halfRead();
    await clock.advance(300_000);
    host.cut();
    expect((await failureOf(reader.next())).code).toBe("network-unreachable");
  });

  test("the caller's signal ends a call at once, with its reason, and blames nobody", async () => {
    await using host = await HttpHost.start(() => ok);
    host.fail({ hang: true });
    const clock = new FakeClock();
    const http = client(clock);
    const stop = new AbortController();
    const asked = http.request({ url: host.origin, doing: "ask" }, { signal: stop.signal });
    const reason = new Error("shutting down");
    await clock.whenSleeping(1);
    stop.abort(reason);
    expect(await asked.catch((error: unknown) => error)).toBe(reason);
    expect(http.governor.waitMs(host.origin)).toBe(0);
    expect(clock.sleeping).toBe(0);
  });

  test("a finished answer leaves no timer behind", async () => {
    await using host = await HttpHost.start(() => ok);
    const clock = new FakeClock();
    await json(client(clock), host.origin);
    await clock.advance(0);
    expect(clock.sleeping).toBe(0);
  });
});

describe("conditional requests", () => {
  test("a 304 gives the very value of the last time; another credential does not share it", async () => {
    await using host = await HttpHost.start((request) =>
      request.headers.get("if-none-match") === 'W/"1"'
        ? { status: 304, headers: { ETag: 'W/"1"' } }
        : { ...ok, headers: { ETag: 'W/"1"' } },
    );
    const http = client();
    const first = await json(http, host.origin, { Authorization: "Bearer a" });
    const second = await json(http, host.origin, { Authorization: "Bearer a" });
    expect(first.changed).toBe(true);
    expect(second).toEqual({ value: { n: 1 }, changed: false });
    expect(second.value).toBe(first.value);
    expect((await json(http, host.origin, { Authorization: "Bearer b" })).changed).toBe(true);
    expect(host.requests.map((request) => request.status)).toEqual([200, 304, 200]);
  });

  test("what is remembered is bounded", async () => {
    const big = JSON.stringify("x".repeat(6 * 1024 * 1024));
    await using host = await HttpHost.start((request) =>
      request.headers.has("if-none-match")
        ? { status: 304 }
        : { status: 200, headers: { ETag: '"1"' }, body: big },
    );
    const http = client();
    for (const path of ["/1", "/2", "/3"]) await json(http, host.origin + path);
    expect((await json(http, `${host.origin}/3`)).changed).toBe(false);
    expect((await json(http, `${host.origin}/1`)).changed).toBe(true);
  });
});

describe("redirects", () => {
  const secrets = {
    Authorization: "Bearer s3cret",
    Cookie: "a=s3cret",
    "Private-Token": "s3cret",
    "X-Api-Key": "s3cret",
    Accept: "text/plain",
    Range: "bytes=5-",
  };

  async function follow(
    status: number,
    location: (origin: string) => string,
    request: Partial<HttpRequest> = {},
  ) {
    await using other = await HttpHost.start(() => ({ status: 200, body: "there" }));
    await using host = await HttpHost.start((seen) =>
      seen.path === "/start"
        ? { status, headers: { Location: location(other.origin) } }
        : { status: 200, body: "here" },
    );
    const full = { url: `${host.origin}/start`, headers: secrets, doing: "ask", ...request };
    const answer = await client().request(full, c);
    const text = await readText(answer.body, 100, "ask");
    return { text, seen: (text === "there" ? other : host).requests.at(-1)?.headers ?? new Headers() };
  }

  test("to another origin, nothing but harmless headers goes along", async () => {
    const { text, seen } = await follow(302, (origin) => `${origin.replace("//", "//user:pass@")}/x`);
    expect(text).toBe("there");
    expect(JSON.stringify([...seen])).not.toContain("s3cret");
    expect(seen.get("authorization")).toBeNull();
    expect(seen.get("accept")).toBe("text/plain");
    expect(seen.get("range")).toBe("bytes=5-");
    expect(seen.get("user-agent")).toBe("dewy/1.2.3");
  });

  test("within the origin the credentials stay", async () => {
    const { text, seen } = await follow(301, () => "/elsewhere");
    expect(text).toBe("here");
    expect(seen.get("authorization")).toBe("Bearer s3cret");
  });

  test("a body is never sent to another origin", async () => {
    const asked = follow(307, (origin) => `${origin}/x`, { method: "POST", body: "secret" });
    expect((await failureOf(asked)).code).toBe("bad-answer");
  });

  test("a circle ends", async () => {
    await using host = await HttpHost.start(() => ({ status: 302, headers: { Location: "/again" } }));
    const error = await failureOf(client().request({ url: host.origin, doing: "ask" }, c));
    expect(error.message).toContain("more than 5 redirects");
    expect(host.requests.length).toBe(6);
  });
});

test("an SSL_CERT_FILE that can't be read, or holds no certificate, is told, as Bun would ignore it", () => {
  const warned: unknown[] = [];
  const log = { ...silentLog, warn: (message: string) => void warned.push(message) };
  const options = { clock: new FakeClock(), log, userAgent: "dewy/0" };
  new HttpClient({ ...options, env: { SSL_CERT_FILE: "/no/such/file" } });
  new HttpClient({ ...options, env: { SSL_CERT_FILE: import.meta.path } });
  using dir = tempDir();
  const good = join(dir.path, "ca.pem");
  writeFileSync(good, `-----${"BEGIN"} CERTIFICATE-----\n`);
  new HttpClient({ ...options, env: { SSL_CERT_FILE: good } });
  expect(warned).toEqual(["SSL_CERT_FILE cannot be read", "SSL_CERT_FILE holds no certificate"]);
});
