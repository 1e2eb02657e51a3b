import { expect, test } from "bun:test";
import { PullTracker } from "../../../src/container/engine/pull-progress.ts";
import type { PullProgress } from "../../../src/container/runtime.ts";
import { FakeClock } from "../../support/clock.ts";

/** What is told when the engine says each of these a second after the one before. */
async function told(...lines: [status: string, id: string, bytes: number][]): Promise<PullProgress[]> {
  const clock = new FakeClock();
  const all: PullProgress[] = [];
  const tracker = new PullTracker("docker", (progress) => void all.push(progress), clock);
  for (const line of lines) {
    tracker.take(...line);
    await clock.advance(1000);
  }
  return all;
}

test("a big layer's every sign is told, be it no further by any measure", async () => {
  expect(await told(["Downloading", "a", 900], ["Extracting", "a", 5], ["Extracting", "a", 5])).toEqual(
    Array(3).fill({ layers: 1, layersDone: 0, bytes: 900 }),
  );
});

test("the bytes are those of all layers, and of nothing else", async () => {
  const all = await told(["Downloading", "a", 1], ["Downloading", "b", 2], ["Pulling from", "v1.0.0", 4]);
  expect(all.at(-1)).toEqual({ layers: 2, layersDone: 0, bytes: 3 });
});
