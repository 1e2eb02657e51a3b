import { expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { LiveSettings } from "../../src/agent/live.ts";
import { recordedReload } from "../../src/cli/run/control.ts";
import { readAgentRecord } from "../../src/control/record.ts";
import { DewyError } from "../../src/errors.ts";
import { parseWindow } from "../../src/schedule/parse.ts";
import { recordingLog } from "../support/recording.ts";
import { tempDir } from "../support/temp-dir.ts";

const config = { command: "server", registry: "file:///srv/app", calver: null, slot: "blue" } as const;
const live: LiveSettings = {
  intervalMs: 10_000,
  hooks: { before: null, after: null, onFailure: "continue", timeoutMs: 60_000 },
  rules: { windows: [parseWindow("12:10-12:20 UTC")], minAgeMs: 1000, jitterMs: 0 },
  keep: 7,
  soakMs: 0,
  logLevel: "info",
};

/** Of a host on which `reload` is read, and what is written down there afterwards. */
function hostOf(root: string, reload: () => Promise<LiveSettings>) {
  const log = recordingLog();
  const again = recordedReload(reload, { config, setup: "s" }, { settings: { root }, log });
  return { log, again, record: () => readAgentRecord(join(root, ".dewy/agent.json")) };
}

test("what a reload changes is what a check without an agent goes by", async () => {
  using dir = tempDir();
  mkdirSync(join(dir.path, ".dewy"));
  const { again, record } = hostOf(dir.path, async () => live);
  expect(await again?.()).toBe(live);
  expect(record()).toEqual({
    version: 1,
    ...config,
    setup: "s",
    schedule: { windows: ["12:10-12:20 UTC"], minAgeMs: 1000, jitterMs: 0 },
  });
});

test("a reload that is refused writes nothing down", async () => {
  using dir = tempDir();
  mkdirSync(join(dir.path, ".dewy"));
  const { again, record } = hostOf(dir.path, () => Promise.reject(new DewyError("config-invalid", "bad")));
  await expect(again?.()).rejects.toThrow("bad");
  expect(record()).toBeNull();
});

test("what can't be written down is no reason not to reload", async () => {
  using dir = tempDir();
  writeFileSync(join(dir.path, ".dewy"), "");
  const { again, log } = hostOf(dir.path, async () => live);
  expect(await again?.()).toBe(live);
  expect(log.at("warn")).toHaveLength(1);
});
