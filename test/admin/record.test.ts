import { describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readAdminRecord, writeAdminRecord } from "../../src/admin/record.ts";
import { tempDir } from "../support/temp-dir.ts";

describe("the record of the admin API", () => {
  test("says where the agent answers, and replaces that of the one before", () => {
    using dir = tempDir();
    const path = join(dir.path, "admin.json");
    expect(readAdminRecord(path)).toBeNull();
    writeAdminRecord(path, { port: 17539, pid: 1 });
    writeAdminRecord(path, { port: 17540, pid: 4711 });
    expect(readAdminRecord(path)).toEqual({ port: 17540, pid: 4711 });
    expect(readdirSync(dir.path)).toEqual(["admin.json"]);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  test.each([
    "",
    "{",
    "null",
    '{"port":17539}',
    '{"port":0,"pid":1}',
    '{"port":65536,"pid":1}',
    '{"port":"17539","pid":1}',
    '{"port":1.5,"pid":1}',
    '{"port":17539,"pid":-1}',
  ])("of %j is refused, and what it says kept out of the message", (text) => {
    using dir = tempDir();
    const path = join(dir.path, "admin.json");
    writeFileSync(path, text);
    expect(() => readAdminRecord(path)).toThrow(
      expect.objectContaining({
        code: "filesystem",
        message: `${path} does not say where the agent answers`,
        hint: expect.any(String),
      }),
    );
  });

  test("that can't be read or written says so", () => {
    using dir = tempDir();
    const path = join(dir.path, "admin.json");
    mkdirSync(path);
    expect(() => readAdminRecord(path)).toThrow(expect.objectContaining({ code: "filesystem" }));
    expect(() => writeAdminRecord(path, { port: 1, pid: 1 })).toThrow(
      expect.objectContaining({ code: "filesystem", message: expect.stringContaining(path) }),
    );
  });
});
