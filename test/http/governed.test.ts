import { describe, expect, test } from "bun:test";
import { DewyError } from "../../src/errors.ts";
import { governed, Harmless } from "../../src/http/governed.ts";
import { Governor } from "../../src/http/governor.ts";
import { silentLog } from "../../src/log.ts";
import { FakeClock } from "../support/clock.ts";

const origin = "s3://bucket";
const c = { signal: new AbortController().signal };

/** How long the origin is left alone after an operation that failed so. */
async function waitAfter(error: unknown, call = c): Promise<number> {
  const governor = new Governor({ clock: new FakeClock(), log: silentLog, random: () => 1 });
  await governed(governor, origin, "look", () => Promise.reject(error), call).catch(() => undefined);
  return governor.waitMs(origin);
}

describe("an operation of a client that sends by itself", () => {
  test.each<[string, unknown, number]>([
    ["no connection", new DewyError("network-unreachable", ""), 1000],
    ["no answer", new DewyError("network-timeout", ""), 1000],
    ["a server in trouble", new DewyError("http-status", ""), 1000],
    ["what is asked is refused", new DewyError("http-status", "", { retryable: false }), 0],
    ["wrong credentials", new DewyError("unauthorized", ""), 1000],
    ["a named time", new DewyError("rate-limited", "", { retryAfterMs: 30_000 }), 30_000],
    ["a right they lack", new Harmless(new DewyError("unauthorized", "")), 0],
    ["it is not there", new DewyError("not-found", ""), 0],
    ["a mistake of ours", new TypeError("no function"), 0],
  ])("%s", async (_, error, waitMs) => {
    expect(await waitAfter(error)).toBe(waitMs);
  });

  test("that its caller waits for no longer counts, one that its caller gave up does not", async () => {
    const late = AbortSignal.abort(new DOMException("late", "TimeoutError"));
    const stopped = AbortSignal.abort(new Error("told to stop"));
    for (const [signal, waitMs] of [
      [late, 1000],
      [stopped, 0],
    ] as const) {
      const governor = new Governor({ clock: new FakeClock(), log: silentLog, random: () => 1 });
      const ending = new AbortController();
      const call = governed(
        governor,
        origin,
        "look",
        async () => {
          ending.abort(signal.reason);
          throw signal.reason;
        },
        ending,
      );
      await expect(call).rejects.toBe(signal.reason);
      expect(governor.waitMs(origin)).toBe(waitMs);
    }
  });

  test("fails as it failed, whether that counts or not", async () => {
    const failure = new DewyError("unauthorized", "no right");
    for (const thrown of [failure, new Harmless(failure)]) {
      const governor = new Governor({ clock: new FakeClock(), log: silentLog });
      const call = governed(governor, origin, "look", () => Promise.reject(thrown), c);
      await expect(call).rejects.toMatchObject({ code: "unauthorized", message: "no right" });
    }
  });

  test("while it is left alone nothing is sent; a success ends that", async () => {
    const clock = new FakeClock();
    const governor = new Governor({ clock, log: silentLog, random: () => 1 });
    const down = () => Promise.reject(new DewyError("network-unreachable", "down"));
    await governed(governor, origin, "look", down, c).catch(() => undefined);
    const refused = governed(governor, origin, "look", async () => "sent", c);
    await expect(refused).rejects.toMatchObject({ code: "rate-limited", retryAfterMs: 1000 });
    await clock.advance(1000);
    expect(await governed(governor, origin, "look", async () => "sent", c)).toBe("sent");
    expect(governor.waitMs(origin)).toBe(0);
  });
});
