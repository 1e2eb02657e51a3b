import { describe, expect, test } from "bun:test";
import { DewyError } from "../../src/errors.ts";
import { HttpClient } from "../../src/http/client.ts";
import { filterParams } from "../../src/notify/filter.ts";
import { MessageRefused, type Notifier } from "../../src/notify/notifier.ts";
import { openWebhook } from "../../src/notify/webhook/notifier.ts";
import { readWebhookUrl, splitWebhookUrl, webhookParams } from "../../src/notify/webhook/url.ts";
import { readQueries } from "../../src/util/query.ts";
import { type Clock, systemClock } from "../../src/util/time.ts";
import { FakeClock } from "../support/clock.ts";
import { freePort } from "../support/free-port.ts";
import { HttpHost } from "../support/http-host.ts";
import { noticeOf } from "../support/notices.ts";
import { recordingLog } from "../support/recording.ts";
import { until } from "../support/until.ts";
import { isSignedBy, WebhookReceiver } from "../support/webhook-receiver.ts";
import { notifierContract, type ServiceFailure } from "./contract.ts";

const secret = "planted-path-5678";
const key = "planted-key";
const notice = noticeOf({ kind: "downloaded", tag: "v1.2.3" });
const forEver = { signal: new AbortController().signal };

interface Opening {
  readonly query?: string;
  readonly key?: string;
  readonly clock?: Clock;
}

function open(host: string, { query = "", key: given, clock = new FakeClock() }: Opening = {}): Notifier {
  const log = recordingLog();
  const http = new HttpClient({ clock, log, userAgent: "dewy/test", random: () => 0 });
  const url = splitWebhookUrl(new URL(`webhook+http://${host}/hooks/${secret}?${query}`));
  const [settings] = readQueries(url.settings, webhookParams, filterParams);
  const env = given === undefined ? {} : { DEWY_WEBHOOK_SECRET: given };
  return openWebhook(readWebhookUrl(url, settings, env), { http, clock });
}

async function failureOf(notifier: Notifier): Promise<DewyError> {
  const error = await notifier.notify(notice, forEver).catch((thrown: unknown) => thrown);
  if (!(error instanceof DewyError)) throw new Error(`not a DewyError: ${error}`);
  expect(Bun.inspect(error, { depth: 10 })).not.toMatch(new RegExp(`${secret}|${key}|planted-token`));
  return error;
}

const replies: Readonly<
  Record<Exclude<ServiceFailure, "hang">, { status: number; headers?: Record<string, string> }>
> = {
  limited: { status: 429, headers: { "Retry-After": "1" } },
  broken: { status: 500 },
  refused: { status: 401 },
};

notifierContract(
  "webhook+http://",
  async () => {
    const receiver = await WebhookReceiver.start(key);
    const notifier = open(receiver.host, { key, clock: systemClock });
    return {
      notifier,
      received: async () =>
        receiver.taken.map((body) => `${JSON.parse(body).host}: ${JSON.parse(body).text}`),
      fail: (how) =>
        receiver.http.fail(how === "hang" ? { hang: true } : { reply: replies[how] }, { times: 99 }),
      heal: () => receiver.http.heal(),
      secret,
      async [Symbol.asyncDispose]() {
        await notifier[Symbol.asyncDispose]();
        await receiver[Symbol.asyncDispose]();
      },
    };
  },
  { remedy: /DEWY_WEBHOOK_SECRET/ },
);

describe("a web hook", () => {
  test("is a POST of JSON with the notice's id, by dewy's name", async () => {
    await using receiver = await WebhookReceiver.start(null);
    await open(receiver.host, { query: "key=planted-token&pass=key&on=deploy" }).notify(notice, forEver);
    const [request] = receiver.http.requests;
    expect(request).toMatchObject({ method: "POST", path: `/hooks/${secret}?key=planted-token` });
    expect(request?.headers.get("content-type")).toBe("application/json; charset=utf-8");
    expect(request?.headers.get("x-dewy-id")).toBe(notice.id);
    expect(request?.headers.get("user-agent")).toBe("dewy/test");
    expect(request?.headers.get("x-dewy-signature")).toBeNull();
  });

  test("with a key is signed with the time of the sending, and nothing else passes for it", async () => {
    const clock = new FakeClock();
    await using receiver = await WebhookReceiver.start(key);
    await open(receiver.host, { key, clock }).notify(notice, forEver);
    const [request] = receiver.http.requests;
    const header = request?.headers.get("x-dewy-signature") ?? "";
    const body = Buffer.from(request?.body ?? []).toString("utf8");
    expect(header).toStartWith(`t=${Math.floor(clock.now().getTime() / 1000)},v1=`);
    expect(isSignedBy(key, header, body)).toBe(true);
    expect(isSignedBy("another", header, body)).toBe(false);
    expect(isSignedBy(key, header, `${body} `)).toBe(false);
    expect(isSignedBy(key, header.replace(/^t=\d/, "t=2"), body)).toBe(false);
    expect(receiver.taken).toHaveLength(1);
    expect((await failureOf(open(receiver.host, { key: "another", clock }))).code).toBe("unauthorized");
  });

  test("that is sent twice is recognised by its id", async () => {
    await using receiver = await WebhookReceiver.start(key);
    const notifier = open(receiver.host, { key });
    receiver.http.fail({ cutAfter: 1 });
    await notifier.notify(notice, forEver).catch(() => undefined);
    await open(receiver.host, { key }).notify(notice, forEver);
    expect(receiver.http.requests).toHaveLength(2);
    expect(receiver.taken).toHaveLength(1);
  });

  test.each([200, 201, 202, 204])("answered with %d is delivered", async (status) => {
    await using host = await HttpHost.start(() => ({ status }));
    await open(new URL(host.origin).host).notify(notice, forEver);
    expect(host.requests).toHaveLength(1);
  });

  test.each<[number, string, boolean, RegExp]>([
    [304, "http-status", false, /^undefined$/],
    [400, "http-status", false, /format=/],
    [401, "unauthorized", false, /DEWY_WEBHOOK_SECRET/],
    [403, "unauthorized", false, /DEWY_WEBHOOK_SECRET/],
    [404, "not-found", false, /check the web hook's URL/],
    [405, "http-status", false, /takes no POST/],
    [407, "unauthorized", false, /HTTPS_PROXY/],
    [408, "http-status", true, /^undefined$/],
    [410, "not-found", false, /was removed/],
    [413, "http-status", false, /^undefined$/],
    [422, "http-status", false, /format=/],
    [429, "rate-limited", true, /^undefined$/],
    [500, "http-status", true, /^undefined$/],
    [502, "http-status", true, /^undefined$/],
    [503, "http-status", true, /^undefined$/],
  ])("answered with %d: %s, to be tried again: %p", async (status, code, retryable, hint) => {
    const body = JSON.stringify({ message: `POST /hooks/${secret} failed` });
    const headers = { "Content-Type": "application/json" };
    await using host = await HttpHost.start(() => ({ status, headers, ...(status === 304 ? {} : { body }) }));
    const error = await failureOf(open(new URL(host.origin).host));
    expect(error).toMatchObject({ code, retryable });
    expect(error.message).toBe(
      `call the web hook on ${new URL(host.origin).host}: ${new URL(host.origin).host} answered ${status}`,
    );
    expect(String(error.hint)).toMatch(hint);
    expect(error instanceof MessageRefused).toBe([400, 413, 422].includes(status));
  });

  test.each([429, 503])("answered with %d is left alone for as long as it says", async (status) => {
    await using host = await HttpHost.start(() => ({ status, headers: { "Retry-After": "17" } }));
    const notifier = open(new URL(host.origin).host);
    expect((await failureOf(notifier)).retryAfterMs).toBe(17_000);
    expect(await failureOf(notifier)).toMatchObject({
      code: "rate-limited",
      retryable: true,
      retryAfterMs: 17_000,
    });
    expect(host.requests).toHaveLength(1);
  });

  test("that is in trouble is given time", async () => {
    await using host = await HttpHost.start(() => ({ status: 500 }));
    expect((await failureOf(open(new URL(host.origin).host))).retryAfterMs).toBeGreaterThan(0);
  });

  test.each([301, 302, 303, 307, 308])("redirected elsewhere by %d is not followed", async (status) => {
    await using other = await HttpHost.start(() => ({ status: 200 }));
    await using host = await HttpHost.start(() => ({
      status,
      headers: { Location: `${other.origin}/${secret}` },
    }));
    const error = await failureOf(open(new URL(host.origin).host));
    expect(error).toMatchObject({
      code: "bad-answer",
      hint: expect.stringContaining("as the receiver gives it out"),
    });
    expect(other.requests).toEqual([]);
  });

  test("redirected within its host is followed with its body", async () => {
    await using host = await HttpHost.start(({ path }) =>
      path === "/moved" ? { status: 200 } : { status: 308, headers: { Location: "/moved" } },
    );
    await open(new URL(host.origin).host).notify(notice, forEver);
    expect(host.requests.map(({ path, method }) => `${method} ${path}`)).toEqual([
      `POST /hooks/${secret}`,
      "POST /moved",
    ]);
    expect(host.requests[1]?.body).toEqual(host.requests[0]?.body);
  });

  test("whose answer never ends is delivered by its status", async () => {
    await using host = await HttpHost.start(() => ({ status: 200, body: "x".repeat(100), chunked: true }));
    host.fail({ hangAfter: 10 });
    await open(new URL(host.origin).host).notify(notice, forEver);
    expect(host.requests).toHaveLength(1);
  });

  test("that hangs is given up when its caller does", async () => {
    await using host = await HttpHost.start(() => ({ status: 200 }));
    host.fail({ hang: true });
    const stop = new AbortController();
    const sending = open(new URL(host.origin).host).notify(notice, stop);
    await until("the request is there", () => host.requests.length === 1);
    const reason = new DewyError("stopped", "stop");
    stop.abort(reason);
    await expect(sending).rejects.toBe(reason);
  });

  test("that nobody listens to may be taken later", async () => {
    const error = await failureOf(open(`127.0.0.1:${freePort()}`));
    expect(error).toMatchObject({ code: "network-unreachable", retryable: true });
  });
});
