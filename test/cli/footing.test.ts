import { describe, expect, test } from "bun:test";
import { Footing } from "../../src/cli/run/footing.ts";
import { DewyError } from "../../src/errors.ts";
import { FakeClock } from "../support/clock.ts";
import { recordingLog } from "../support/recording.ts";
import { until } from "../support/until.ts";

/** An agent's footing whose lock does as told each time it is looked at. */
function footing(renew: () => boolean) {
  const [log, clock] = [recordingLog(), new FakeClock()];
  let ensured = 0;
  const ensure = async () => {
    ensured += 1;
  };
  const control = { ensure };
  const lock = { renew, [Symbol.dispose]: () => undefined };
  const watched = new Footing({ lock, control, log, clock });
  const look = async () => {
    const before = ensured;
    await until("it waits", () => clock.sleeping === 1);
    await clock.advance(2000);
    await until("it has looked", () => ensured > before);
  };
  return { watched, log, look, clock };
}

const held = () => new DewyError("lock-held", "another dewy runs in this directory: pid 2");

describe("an agent's footing", () => {
  test("is looked after without a word while it is there, and told when it was restored", async () => {
    const removed = [false, true, false];
    const { watched, log, look } = footing(() => removed.shift() ?? false);
    const end = new AbortController();
    const keeping = watched.keep({ signal: end.signal });
    await look();
    expect(log.records).toEqual([]);
    await look();
    await look();
    expect(log.at("warn")).toEqual(["The lock was removed; it is taken anew"]);
    end.abort(new Error("the end"));
    await expect(keeping).rejects.toThrow("the end");
  });

  test("that can't be restored is told once, and tried again", async () => {
    let tries = 0;
    const { watched, log, look } = footing(() => {
      tries += 1;
      throw new DewyError("filesystem", "ENOENT");
    });
    const end = new AbortController();
    const keeping = watched.keep({ signal: end.signal });
    await look();
    await look();
    expect(tries).toBe(2);
    expect(log.at("warn")).toEqual(["The lock can't be taken anew: another agent could start"]);
    expect(watched.isLost()).toBe(false);
    end.abort(new Error("the end"));
    await expect(keeping).rejects.toThrow("the end");
  });

  test("is lost, once and for all, where another agent has come in", async () => {
    const answers = [held()];
    const { watched, log, clock } = footing(() => {
      const next = answers.shift();
      if (next !== undefined) throw next;
      return true;
    });
    const keeping = watched.keep({ signal: new AbortController().signal });
    keeping.catch(() => undefined);
    await until("it waits", () => clock.sleeping === 1);
    await clock.advance(2000);
    await expect(keeping).rejects.toMatchObject({
      code: "lock-held",
      message: "the lock was removed, and another dewy runs in this directory: pid 2",
    });
    expect(watched.isLost()).toBe(true);
    expect(log.at("warn")).toEqual(["This agent ends and leaves the app to another one"]);
  });
});
