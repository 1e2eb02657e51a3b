import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { StateFile } from "../../src/agent/state.ts";
import { silentLog } from "../../src/log.ts";
import { recordingLog } from "../support/recording.ts";
import { tempDir } from "../support/temp-dir.ts";
import { mountTmpfs } from "../support/tmpfs.ts";

const attempt = { id: "1", tag: "v1.0.0", startedAt: "2026-11-21T12:00:00.000Z" };

describe("the state", () => {
  test("that was never written is empty and fresh, and no file is made", () => {
    using dir = tempDir();
    const { file, fresh } = StateFile.open(join(dir.path, "state.json"), silentLog);
    expect(fresh).toBe(true);
    expect(file.state).toMatchObject({ version: 1, current: null, quarantine: [], releases: {} });
    expect(readdirSync(dir.path)).toEqual([]);
  });

  test("is on disk once updated, for its owner only, and is read again", () => {
    using dir = tempDir();
    const path = join(dir.path, "state.json");
    const { file } = StateFile.open(path, silentLog);
    file.update({ attempt });
    expect(file.state.attempt).toEqual(attempt);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(dir.path)).toEqual(["state.json"]);
    const again = StateFile.open(path, silentLog);
    expect(again.fresh).toBe(false);
    expect(again.file.state).toEqual(file.state);
  });

  test.each([
    ["nothing", ""],
    ["half of it", '{"version":1,"current":nu'],
    ["no JSON", "\0\0\0\0"],
    ["another thing", "[]"],
    ["a wrong field", '{"version":1,"current":7}'],
  ])("of which the file holds %s is moved aside, with a warning", (_, content) => {
    using dir = tempDir();
    const path = join(dir.path, "state.json");
    writeFileSync(path, content);
    const log = recordingLog();
    const { file, fresh } = StateFile.open(path, log);
    expect(fresh).toBe(true);
    expect(file.state.current).toBeNull();
    expect(log.at("warn")).toEqual(["State not readable; starting from what is on disk"]);
    expect(readFileSync(`${path}.unreadable`, "utf8")).toBe(content);
    expect(StateFile.open(path, log).fresh).toBe(true);
  });

  test("of the dewy before is read, with nothing held, nothing on probation and nothing to go back from", () => {
    using dir = tempDir();
    const path = join(dir.path, "state.json");
    const current = {
      tag: "v1.0.0",
      digest: `sha256:${"a".repeat(64)}`,
      artifact: "app.zip",
      release: "20261121T090000Z",
      since: "2026-11-21T09:00:00.000Z",
    };
    const { tag, artifact, digest } = current;
    const old = {
      version: 1,
      current,
      previous: null,
      quarantine: [{ tag: "v1.1.0", digest, fingerprint: "f", reason: "died", at: current.since }],
      failure: null,
      attempt,
      unreported: null,
      releases: { [current.release]: { tag, artifact, digest } },
    };
    writeFileSync(path, JSON.stringify(old));
    const { file, fresh } = StateFile.open(path, silentLog);
    expect(fresh).toBe(false);
    const none = { hold: null, holdBelow: null, soak: null, retreat: null, stranded: null };
    expect(JSON.stringify(file.state)).toBe(
      JSON.stringify({ ...old, ...none, origin: "check", sightings: [] }),
    );
    file.update({ attempt: null });
    expect(StateFile.open(path, silentLog).file.state).toEqual(file.state);
  });

  test("of a newer dewy is refused, and left as it is", () => {
    using dir = tempDir();
    const path = join(dir.path, "state.json");
    writeFileSync(path, '{"version":2,"current":"something new"}');
    expect(() => StateFile.open(path, silentLog)).toThrow("written by a newer dewy");
    expect(readFileSync(path, "utf8")).toContain("something new");
  });

  test("that can't be written stays what it was, in memory and on disk", async () => {
    using dir = tempDir();
    await using _ = mountTmpfs(dir.path, "size=64k");
    const path = join(dir.path, "state.json");
    const { file } = StateFile.open(path, silentLog);
    file.update({ attempt });
    writeFileSync(join(dir.path, "filler"), Buffer.alloc(56 * 1024));
    const large = { ...attempt, tag: "x".repeat(20_000) };
    expect(() => file.update({ attempt: large })).toThrow("ENOSPC");
    expect(file.state.attempt).toEqual(attempt);
    expect(StateFile.open(path, silentLog).file.state.attempt).toEqual(attempt);
  });

  test("what was learned is known although it can't be written, and is written with the next update", () => {
    using dir = tempDir();
    const path = join(dir.path, "gone", "state.json");
    const { file } = StateFile.open(path, silentLog);
    const failure = {
      tag: "v1.0.0",
      fingerprint: "x",
      count: 1,
      lastError: "",
      at: attempt.startedAt,
      nextTryAt: attempt.startedAt,
    };
    const inTheWay = join(dir.path, "gone");
    writeFileSync(inTheWay, "");
    file.learn({ failure });
    expect(file.state.failure).toEqual(failure);
    rmSync(inTheWay);
    file.update({ attempt });
    expect(StateFile.open(path, silentLog).file.state).toMatchObject({ failure, attempt });
    rmSync(path);
  });
});
