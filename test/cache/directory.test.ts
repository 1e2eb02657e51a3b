import { describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { prepareCacheDirectory } from "../../src/cache/directory.ts";
import { recordingLog } from "../support/recording.ts";
import { tempDir } from "../support/temp-dir.ts";

describe("the cache directory", () => {
  test("is .dewy/cache under the working directory", () => {
    using dir = tempDir();
    const log = recordingLog();
    expect(prepareCacheDirectory(null, dir.path, log)).toBe(join(dir.path, ".dewy/cache"));
    expect(statSync(join(dir.path, ".dewy/cache")).isDirectory()).toBe(true);
    expect(log.records).toEqual([]);
  });

  test("is the given one, which keeps its mode and what is in it", () => {
    using dir = tempDir();
    const given = join(dir.path, "given");
    mkdirSync(given);
    chmodSync(given, 0o700);
    writeFileSync(join(given, "current"), "v1.0.0--app.tar.gz");
    expect(prepareCacheDirectory(given, join(dir.path, "app"), recordingLog())).toBe(given);
    expect(statSync(given).mode & 0o777).toBe(0o700);
    expect(readdirSync(given)).toContain("current");
  });

  test("is used again by the same working directory", () => {
    using dir = tempDir();
    const root = workingDirectory(dir.path, "app");
    const given = join(dir.path, "given");
    prepareCacheDirectory(given, root, recordingLog());
    expect(prepareCacheDirectory(given, root, recordingLog())).toBe(given);
  });

  test("of another app is refused by its name", () => {
    using dir = tempDir();
    const [one, two] = [workingDirectory(dir.path, "one"), workingDirectory(dir.path, "two")];
    const given = join(dir.path, "given");
    prepareCacheDirectory(given, one, recordingLog());
    expect(() => prepareCacheDirectory(given, two, recordingLog())).toThrow(`belongs to ${one}`);
  });

  test("of an app that is gone can be had", () => {
    using dir = tempDir();
    const [one, two] = [workingDirectory(dir.path, "one"), workingDirectory(dir.path, "two")];
    const given = join(dir.path, "given");
    prepareCacheDirectory(given, one, recordingLog());
    rmSync(one, { recursive: true });
    expect(prepareCacheDirectory(given, two, recordingLog())).toBe(given);
  });

  test("that can't be made is replaced by a temporary one, with a warning", () => {
    using dir = tempDir();
    writeFileSync(join(dir.path, "file"), "in the way");
    const log = recordingLog();
    const path = prepareCacheDirectory(join(dir.path, "file", "cache"), dir.path, log);
    expect(existsSync(path)).toBe(true);
    expect(log.at("warn")).toEqual(["Cache directory not usable; using a temporary one"]);
    rmSync(path, { recursive: true });
  });
});

function workingDirectory(parent: string, name: string): string {
  mkdirSync(join(parent, name, ".dewy"), { recursive: true });
  return join(parent, name);
}
