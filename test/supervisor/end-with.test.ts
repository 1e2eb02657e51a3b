import { describe, expect, test } from "bun:test";
import { DewyError } from "../../src/errors.ts";
import { whileServing } from "../../src/supervisor/end-with.ts";
import { FakeClock } from "../support/clock.ts";

const c = { signal: new AbortController().signal };

function serving() {
  const { promise: exited, resolve } = Promise.withResolvers<{ code: number | null; signal: string }>();
  const generation = { number: 1, pid: 1, startTicks: 1, release: "v1", leadsGroup: true, root: "/srv" };
  return {
    generation: { ...generation, startedMs: 0, exited },
    end: () => resolve({ code: null, signal: "SIGKILL" }),
  };
}

const failing = (code: "start-failed" | "health-failed") => async () => {
  throw new DewyError(code, "it failed");
};

describe("while something serves", () => {
  test("what ends the new version is not its fault where it ends that, too", async () => {
    const clock = new FakeClock();
    const { generation, end } = serving();
    const proving = whileServing(generation, "meanwhile", failing("start-failed"), clock, c);
    end();
    await expect(proving).rejects.toMatchObject({ code: "serving-ended", blame: "environment" });
  });

  test("a new version that ends alone has failed", async () => {
    const clock = new FakeClock();
    const proving = whileServing(serving().generation, "meanwhile", failing("start-failed"), clock, c);
    proving.catch(() => undefined);
    await Promise.resolve();
    await clock.advance(1000);
    await expect(proving).rejects.toMatchObject({ code: "start-failed" });
  });

  test("one that runs and is sick is left at once", async () => {
    const proving = whileServing(
      serving().generation,
      "meanwhile",
      failing("health-failed"),
      new FakeClock(),
      c,
    );
    await expect(proving).rejects.toMatchObject({ code: "health-failed" });
  });
});
