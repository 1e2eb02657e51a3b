import { describe, expect, test } from "bun:test";
import { FakeClock } from "../support/clock.ts";
import { HttpHost } from "../support/http-host.ts";
import { client, failureOf, json, ok } from "./fixture.ts";

describe("limits and back-off", () => {
  test("Retry-After as a date, on the server's own clock", async () => {
    const date = new Date("2020-01-01T00:00:00Z");
    const headers = {
      Date: date.toUTCString(),
      "Retry-After": new Date(date.getTime() + 90_000).toUTCString(),
    };
    await using host = await HttpHost.start(() => ({ status: 429, headers }));
    expect((await failureOf(json(client(), host.origin))).retryAfterMs).toBe(90_000);
  });

  test("a limited origin is left alone until the reset, then asked again", async () => {
    const clock = new FakeClock();
    const http = client(clock);
    const reset = Math.floor(clock.now().getTime() / 1000) + 600;
    const headers = {
      Date: clock.now().toUTCString(),
      "X-RateLimit-Remaining": "0",
      "X-RateLimit-Reset": String(reset),
    };
    await using host = await HttpHost.start(() => ok);
    host.fail({ reply: { status: 403, headers } });
    expect((await failureOf(json(http, host.origin))).code).toBe("rate-limited");
    const refused = await failureOf(json(http, host.origin));
    expect(refused).toMatchObject({ code: "rate-limited", retryAfterMs: 601_000 });
    expect(host.requests.length).toBe(1);
    await clock.advance(601_000);
    expect((await json(http, host.origin)).value).toEqual({ n: 1 });
  });

  test("a success that used up the window's last call ends the asking too", async () => {
    const clock = new FakeClock();
    const http = client(clock);
    const headers = {
      Date: clock.now().toUTCString(),
      "X-RateLimit-Remaining": "0",
      "X-RateLimit-Reset": String(Math.floor(clock.now().getTime() / 1000) + 60),
    };
    await using host = await HttpHost.start(() => ({ ...ok, headers }));
    expect((await json(http, host.origin)).value).toEqual({ n: 1 });
    expect((await failureOf(json(http, host.origin))).retryAfterMs).toBe(61_000);
  });

  test("a server that wants a year gets an hour", async () => {
    await using host = await HttpHost.start(() => ({ status: 429, headers: { "Retry-After": "31536000" } }));
    const http = client();
    await failureOf(json(http, host.origin));
    expect((await failureOf(json(http, host.origin))).retryAfterMs).toBe(65 * 60_000);
  });

  test("failures back off from about a second to at most five minutes; a success resets", async () => {
    const clock = new FakeClock();
    const http = client(clock);
    await using host = await HttpHost.start(() => ok);
    host.fail({ reply: { status: 502 } }, { times: 12 });
    const waits: number[] = [];
    for (let failure = 0; failure < 12; failure++) {
      waits.push((await failureOf(json(http, host.origin))).retryAfterMs ?? 0);
      expect((await failureOf(json(http, host.origin))).code).toBe("rate-limited");
      await clock.advance(300_000);
    }
    expect(waits.map((ms) => Math.round(ms / 1000))).toEqual([
      1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300,
    ]);
    await json(http, host.origin);
    host.fail({ reply: { status: 502 } });
    expect((await failureOf(json(http, host.origin))).retryAfterMs).toBeLessThanOrEqual(1000);
  });

  test("an unreachable origin is tried again within a minute", async () => {
    const clock = new FakeClock();
    const http = client(clock);
    let longest = 0;
    for (let failure = 0; failure < 10; failure++) {
      longest = Math.max(longest, (await failureOf(json(http, "http://127.0.0.1:1"))).retryAfterMs ?? 0);
      await clock.advance(60_000);
    }
    expect(longest).toBeLessThanOrEqual(60_000);
  });

  test("one origin's trouble is not another's", async () => {
    const http = client();
    await using bad = await HttpHost.start(() => ({ status: 500 }));
    await using good = await HttpHost.start(() => ok);
    await failureOf(json(http, bad.origin));
    expect((await json(http, good.origin)).value).toEqual({ n: 1 });
  });
});
