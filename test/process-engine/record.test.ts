import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { ProcessRecord, type RecordedProcess } from "../../src/process-engine/record.ts";
import { tempDir } from "../support/temp-dir.ts";
import { mountTmpfs } from "../support/tmpfs.ts";

const identity = { id: "a", name: "shop-1-0", release: "r1", labels: {}, ports: [], createdAt: "" };
const runs: RecordedProcess = { ...identity, pid: 4711, startTicks: 100, stopping: false };
const stops = { ...runs, stopping: true };

describe("the record of processes on a full disk", () => {
  test.each<[string, RecordedProcess[], RecordedProcess[]]>([
    ["is gone once all are being stopped, so that their end is no crash", [stops], []],
    ["says what it said where one goes on", [stops, { ...runs, id: "b" }], [runs]],
  ])("%s", async (_, next, found) => {
    using dir = tempDir();
    await using _mount = mountTmpfs(dir.path, "size=64k");
    const record = new ProcessRecord(join(dir.path, "replicas.json"));
    record.write({ processes: [runs], keeper: "@7" });
    expect(() => writeFileSync(join(dir.path, "filler"), Buffer.alloc(1024 * 1024))).toThrow("ENOSPC");
    expect(() => record.write({ processes: next, keeper: "@7" })).toThrow("ENOSPC");
    expect(record.read().processes).toEqual(found);
  });
});
