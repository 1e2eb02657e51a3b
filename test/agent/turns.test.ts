import { describe, expect, test } from "bun:test";
import { Turns } from "../../src/agent/orders/turns.ts";
import { Wake } from "../../src/agent/wake.ts";
import { FakeClock } from "../support/clock.ts";

function asker() {
  const seen: string[] = [];
  const gone = new AbortController();
  return {
    seen,
    gone,
    c: gone,
    onWaiting: (what: string) => void seen.push(`waits for ${what}`),
    onStep: (step: string) => void seen.push(step),
    onReceived: () => undefined,
  };
}

describe("turns", () => {
  test("end with the one that is under way; none that waits begins", async () => {
    const turns = new Turns(new FakeClock());
    const { promise, resolve } = Promise.withResolvers<string>();
    const first = turns.take("a deploy", () => promise);
    while (turns.current === null) await Promise.resolve();
    let hasBegun = false;
    const waiting = turns.take("a rollback", async () => {
      hasBegun = true;
    });
    const refused = waiting.catch((error: unknown) => error);
    let isOver = false;
    const end = turns.end().then(() => {
      isOver = true;
    });
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
    expect(isOver).toBe(false);
    resolve("done");
    await end;
    expect(await first).toBe("done");
    expect(await refused).toMatchObject({ code: "stopped", message: "the agent is ending" });
    expect(hasBegun).toBe(false);
  });

  test("come one at a time, and whoever waits hears of each", async () => {
    const turns = new Turns(new FakeClock());
    const { promise, resolve } = Promise.withResolvers<void>();
    const [second, third] = [asker(), asker()];
    const first = turns.take("the first", () => promise);
    await Promise.resolve();
    expect(turns.current).toMatchObject({ with: "the first", step: null });
    const others = [
      turns.take("the second", async () => turns.step("half"), second),
      turns.take("the third", async () => turns.step("half"), third),
    ];
    turns.become("the first, changed");
    resolve();
    await Promise.all([first, ...others]);
    expect(second.seen).toEqual(["waits for the first", "waits for the first, changed", "half"]);
    expect(third.seen).toEqual([
      "waits for the first",
      "waits for the first, changed",
      "waits for the second",
      "half",
    ]);
    expect(turns.current).toBeNull();
  });

  test("tell for how long what is under way has come no further", async () => {
    const clock = new FakeClock();
    const turns = new Turns(clock);
    await clock.advance(1000);
    expect(turns.stillMs).toBe(0);
    const { promise, resolve } = Promise.withResolvers<void>();
    const taken = turns.take("a deploy", () => promise);
    await clock.advance(1000);
    expect(turns.stillMs).toBe(1000);
    for (const move of [
      () => turns.step("half"),
      () => turns.received(1, 2),
      () => turns.become("a retreat"),
    ]) {
      move();
      expect(turns.stillMs).toBe(0);
      await clock.advance(1000);
      expect(turns.stillMs).toBe(1000);
    }
    resolve();
    await taken;
    expect(turns.stillMs).toBe(0);
  });

  test("of one that fails are over, and the next one comes", async () => {
    const turns = new Turns(new FakeClock());
    await expect(turns.take("bad", () => Promise.reject(new Error("no")))).rejects.toThrow("no");
    expect(turns.current).toBeNull();
    expect(await turns.take("good", async () => 1)).toBe(1);
  });

  test("of askers who have gone are not taken, and they hear nothing more", async () => {
    const turns = new Turns(new FakeClock());
    const { promise, resolve } = Promise.withResolvers<void>();
    const first = turns.take("the first", () => promise);
    const waiting = asker();
    let ran = false;
    const work = async () => {
      ran = true;
    };
    const taken = turns.take("the second", work, waiting);
    waiting.gone.abort(new Error("gone"));
    await expect(taken).rejects.toThrow("gone");
    turns.become("the first, changed");
    resolve();
    await first;
    await turns.take("the third", async () => undefined);
    expect(ran).toBe(false);
    expect(waiting.seen).toEqual(["waits for the first"]);
  });
});

describe("a pause", () => {
  const c = { signal: new AbortController().signal };

  /** Of ten seconds, and at least 200 ms. */
  class Pause {
    readonly clock = new FakeClock();
    readonly wake = new Wake(this.clock);
    isOver = false;

    begin(): void {
      this.isOver = false;
      void this.wake.pause(10_000, 200, c).then(() => {
        this.isOver = true;
      });
    }
  }

  test.each<[string, number | null, number]>([
    ["lasts as long as it is to", null, 10_000],
    ["ends when it is called off", 500, 500],
    ["lasts as long as it must when it is called off", 100, 200],
  ])("%s", async (_, calledAtMs, lastsMs) => {
    const pause = new Pause();
    const { clock, wake } = pause;
    pause.begin();
    if (calledAtMs !== null && calledAtMs < lastsMs) {
      await clock.advance(calledAtMs);
      wake.now();
    }
    await clock.advance(lastsMs - 1 - clock.monotonicMs());
    expect(pause.isOver).toBe(false);
    if (calledAtMs === lastsMs) wake.now();
    await clock.advance(1);
    expect(pause.isOver).toBe(true);
  });

  test("called off before it began is as short as it may be, and the one after it is not", async () => {
    const pause = new Pause();
    const { clock, wake } = pause;
    wake.now();
    pause.begin();
    await clock.advance(200);
    expect(pause.isOver).toBe(true);
    pause.begin();
    await clock.advance(9999);
    expect(pause.isOver).toBe(false);
    await clock.advance(1);
    expect(pause.isOver).toBe(true);
  });

  test("ends with the reason when the agent ends", async () => {
    const stop = new AbortController();
    const pausing = new Wake(new FakeClock()).pause(10_000, 0, stop);
    stop.abort(new Error("told to stop"));
    await expect(pausing).rejects.toThrow("told to stop");
  });
});
