import { describe, expect, test } from "bun:test";
import { appendFileSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { History } from "../../src/agent/history.ts";
import type { DeployRecord } from "../../src/release/release.ts";
import { tempDir } from "../support/temp-dir.ts";

const record = (id: string): DeployRecord => ({
  id,
  host: "web1",
  command: "server",
  tag: "v1.0.0",
  digest: null,
  fromTag: null,
  startedAt: "2026-11-21T12:00:00.000Z",
  finishedAt: "2026-11-21T12:00:01.000Z",
  durationMs: 1000,
  result: "deployed",
});
const ids = (history: History) => history.read().map(({ id }) => id);

describe("the history", () => {
  test("is empty before the first deploy", () => {
    using dir = tempDir();
    expect(new History(join(dir.path, "history.jsonl")).read()).toEqual([]);
  });

  test("keeps each deploy as one line, oldest first", () => {
    using dir = tempDir();
    const history = new History(join(dir.path, "history.jsonl"));
    for (const id of ["a", "b", "c"]) history.append(record(id));
    expect(history.read()).toEqual([record("a"), record("b"), record("c")]);
    expect(readFileSync(history.path, "utf8").trimEnd().split("\n")).toHaveLength(3);
  });

  test("a last line torn at any byte is left out, and what is appended after it is whole", () => {
    using dir = tempDir();
    const path = join(dir.path, "history.jsonl");
    const history = new History(path);
    const line = `${JSON.stringify(record("b"))}\n`;
    for (let bytes = 0; bytes <= line.length; bytes++) {
      writeFileSync(path, `${JSON.stringify(record("a"))}\n${line.slice(0, bytes)}`);
      const whole = bytes >= line.length - 1;
      expect(ids(history)).toEqual(whole ? ["a", "b"] : ["a"]);
      history.append(record("c"));
      expect(ids(history)).toEqual(whole ? ["a", "b", "c"] : ["a", "c"]);
    }
  });

  test("zeros that a power cut left are left out", () => {
    using dir = tempDir();
    const path = join(dir.path, "history.jsonl");
    const history = new History(path);
    history.append(record("a"));
    appendFileSync(path, Buffer.alloc(300));
    history.append(record("b"));
    expect(ids(history)).toEqual(["a", "b"]);
    truncateSync(path);
    expect(ids(history)).toEqual([]);
  });

  test("that can't be written says so", () => {
    using dir = tempDir();
    mkdirSync(join(dir.path, "history.jsonl"));
    expect(() => new History(join(dir.path, "history.jsonl")).append(record("a"))).toThrow("EISDIR");
  });
});
