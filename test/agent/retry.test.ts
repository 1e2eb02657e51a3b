import { expect, test } from "bun:test";
import { join } from "node:path";
import { retry } from "../../src/agent/back/retry.ts";
import { StateFile } from "../../src/agent/state.ts";
import { FakeClock } from "../support/clock.ts";
import { recordingLog } from "../support/recording.ts";
import { tempDir } from "../support/temp-dir.ts";

test("a way back that waits for its next try is tried at once", () => {
  using dir = tempDir();
  const [log, clock] = [recordingLog(), new FakeClock()];
  const { file: state } = StateFile.open(join(dir.path, "state.json"), log);
  const at = clock.now().toISOString();
  const nextTryAt = new Date(clock.now().getTime() + 300_000).toISOString();
  const retreat = { release: "20260101T000000Z", reason: "it died", at, tries: 4, hasDied: true };
  state.update({ retreat: { ...retreat, nextTryAt } });
  retry({ state, announcer: { settled: () => undefined }, clock, log });
  expect(state.state.retreat).toEqual({ ...retreat, nextTryAt: at });
});
