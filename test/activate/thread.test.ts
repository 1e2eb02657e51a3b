import { expect, test } from "bun:test";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { threadOf } from "../../src/activate/thread.ts";
import { tempDir } from "../support/temp-dir.ts";

const ts = "1503435956.000247";
const long = `${"1".repeat(57)}.000247`;

test.each<[string, string, string | null]>([
  ["a number", ts, ts],
  ["a line", `${ts}\n`, ts],
  ["a line of Windows", `${ts}\r\n`, ts],
  ["more lines, of which the first counts", `${ts}\n2.3\nrm -rf\n`, ts],
  ["64 bytes", long, long],
  ["65 bytes", `1${long}`, null],
  ["65 bytes whose first 64 would do", `${long}7`, null],
  ["nothing", "", null],
  ["an empty first line", `\n${ts}\n`, null],
  ["words", "latest", null],
  ["a number and words", `${ts} x`, null],
  ["no dot", "1503435956", null],
  ["two dots", "1.2.3", null],
  ["no text at all", "\0\0\0.\0", null],
])("%s in the release's file", (_, content, thread) => {
  using dir = tempDir();
  writeFileSync(join(dir.path, ".slack-thread-ts"), content);
  expect(threadOf(dir.path)).toBe(thread);
});

test("no file is no thread", () => {
  using dir = tempDir();
  expect(threadOf(dir.path)).toBeNull();
  expect(threadOf(join(dir.path, "nowhere"))).toBeNull();
});

test("a link is not followed", () => {
  using dir = tempDir();
  writeFileSync(join(dir.path, "elsewhere"), ts);
  symlinkSync("elsewhere", join(dir.path, ".slack-thread-ts"));
  expect(threadOf(dir.path)).toBeNull();
});

test("a directory or a pipe is no file, and nothing is waited for", () => {
  using dir = tempDir();
  mkdirSync(join(dir.path, "a/.slack-thread-ts"), { recursive: true });
  mkdirSync(join(dir.path, "b"));
  Bun.spawnSync(["mkfifo", join(dir.path, "b/.slack-thread-ts")]);
  expect(threadOf(join(dir.path, "a"))).toBeNull();
  expect(threadOf(join(dir.path, "b"))).toBeNull();
});
