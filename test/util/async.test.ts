import { describe, expect, test } from "bun:test";
import { abortable, Mutex, pollUntil, withDeadline } from "../../src/util/async.ts";
import { FakeClock } from "../support/clock.ts";

const forEver = { signal: new AbortController().signal };

describe("Mutex", () => {
  test("runs tasks one after the other, in the order they came, whatever they end with", async () => {
    const mutex = new Mutex();
    const order: string[] = [];
    const task = (name: string, fail = false) =>
      mutex.run(async () => {
        order.push(`${name} begins`);
        await new Promise((resolve) => setImmediate(resolve));
        order.push(`${name} ends`);
        if (fail) throw new Error(name);
        return name;
      });
    const results = await Promise.allSettled([task("a"), task("b", true), task("c")]);
    expect(order).toEqual(["a begins", "a ends", "b begins", "b ends", "c begins", "c ends"]);
    expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
  });
});

describe("abortable", () => {
  test("gives the work's result", async () => {
    expect(await abortable(Promise.resolve(1), forEver.signal)).toBe(1);
    await expect(abortable(Promise.reject(new Error("no")), forEver.signal)).rejects.toThrow("no");
  });

  test("rejects with the reason although the work never settles", async () => {
    const stop = new AbortController();
    const pending = abortable(new Promise(() => {}), stop.signal);
    stop.abort(new Error("reason"));
    await expect(pending).rejects.toThrow("reason");
    await expect(abortable(new Promise(() => {}), stop.signal)).rejects.toThrow("reason");
    // An unhandled rejection would fail the test.
    await expect(abortable(Promise.reject(new Error("late")), stop.signal)).rejects.toThrow("reason");
  });
});

describe("withDeadline", () => {
  test("ends at the deadline", async () => {
    const { signal } = withDeadline(forEver, 1);
    const { promise, resolve } = Promise.withResolvers<unknown>();
    signal.addEventListener("abort", () => resolve(signal.reason));
    expect(await promise).toMatchObject({ name: "TimeoutError" });
  });

  test("ends with the caller, for the caller's reason", () => {
    const stop = new AbortController();
    const { signal } = withDeadline(stop, 60_000);
    stop.abort("reason");
    expect(signal.reason).toBe("reason");
  });
});

describe("pollUntil", () => {
  test("looks again after each pause until there is an answer", async () => {
    const clock = new FakeClock();
    let looks = 0;
    const found = pollUntil(() => (++looks === 3 ? "here" : undefined), 100, clock, forEver);
    await clock.advance(200);
    expect(await found).toBe("here");
    expect(clock.monotonicMs()).toBe(200);
  });

  test("ends with the signal", async () => {
    const clock = new FakeClock();
    const stop = new AbortController();
    const polling = pollUntil(() => undefined, 100, clock, stop);
    await clock.whenSleeping(1);
    stop.abort(new Error("reason"));
    await expect(polling).rejects.toThrow("reason");
    expect(clock.sleeping).toBe(0);
  });
});
