import { describe, expect, test } from "bun:test";
import { DewyError, type ErrorCode, messageOf, systemCode, toDewyError } from "../src/errors.ts";

describe("the exit code and the blame of each kind of failure", () => {
  test.each<[ErrorCode, number, string, boolean]>([
    ["config-invalid", 1, "operator", false],
    ["lock-held", 1, "operator", false],
    ["port-in-use", 1, "operator", false],
    ["command-missing", 1, "operator", false],
    ["network-unreachable", 2, "environment", true],
    ["network-timeout", 2, "environment", true],
    ["rate-limited", 2, "environment", true],
    ["http-status", 2, "environment", true],
    ["unauthorized", 2, "environment", false],
    ["not-found", 2, "environment", true],
    ["bad-answer", 2, "environment", true],
    ["artifact-missing", 2, "environment", true],
    ["disk-full", 3, "environment", true],
    ["filesystem", 3, "environment", true],
    ["artifact-too-large", 4, "release", false],
    ["digest-mismatch", 4, "release", false],
    ["archive-refused", 4, "release", false],
    ["archive-corrupt", 4, "release", false],
    ["start-failed", 4, "release", false],
    ["serving-ended", 4, "environment", true],
    ["health-unknown", 4, "environment", true],
    ["hook-failed", 4, "environment", true],
    ["stopped", 0, "operator", false],
    ["internal", 4, "environment", true],
  ])("%s: exit %d, blame %s, retryable %p", (code, exitCode, blame, retryable) => {
    expect(new DewyError(code, "text")).toMatchObject({ exitCode, blame, retryable, name: "DewyError" });
  });

  test("one failure may know better whether trying again helps", () => {
    expect(new DewyError("http-status", "text", { retryable: false }).retryable).toBe(false);
  });
});

describe("anything thrown becomes a DewyError", () => {
  const failing = (code: string) => Object.assign(new Error(`${code}: text`), { code });

  test.each<[string, unknown, ErrorCode]>([
    ["no space", failing("ENOSPC"), "disk-full"],
    ["over quota", failing("EDQUOT"), "disk-full"],
    ["not allowed", failing("EACCES"), "filesystem"],
    ["read-only", failing("EROFS"), "filesystem"],
    ["missing file", failing("ENOENT"), "filesystem"],
    ["refused", failing("ECONNREFUSED"), "network-unreachable"],
    ["refused, in Bun's word", failing("ConnectionRefused"), "network-unreachable"],
    ["name not found", failing("ENOTFOUND"), "network-unreachable"],
    ["deadline", new DOMException("late", "TimeoutError"), "network-timeout"],
    ["abort", new DOMException("stop", "AbortError"), "stopped"],
    ["a plain error", new Error("text"), "internal"],
    ["no error at all", "text", "internal"],
    ["nothing", undefined, "internal"],
  ])("%s", (_, error, code) => {
    const failure = toDewyError(error, "write the state");
    expect(failure.code).toBe(code);
    expect(failure.message).toStartWith("write the state: ");
    if (error !== undefined) expect(failure.cause).toBe(error);
  });

  test("one that is a DewyError stays the same object", () => {
    const failure = new DewyError("start-failed", "text");
    expect(toDewyError(failure, "anything")).toBe(failure);
  });

  test("a full disk and a missing right say what to do", () => {
    expect(toDewyError(failing("ENOSPC"), "x").hint).toContain("free some disk space");
    expect(toDewyError(failing("EACCES"), "x").hint).toContain("writable");
  });
});

test.each<[string, unknown, string | undefined]>([
  ["a system error", Object.assign(new Error(), { code: "ENOENT" }), "ENOENT"],
  ["an error with a number", Object.assign(new Error(), { code: 7 }), undefined],
  ["an error without code", new Error(), undefined],
  ["null", null, undefined],
  ["a text", "ENOENT", undefined],
])("the system code of %s", (_, error, code) => {
  expect(systemCode(error)).toBe(code);
});

test.each<[string, unknown, string]>([
  ["an error", new Error("text"), "text"],
  ["a text", "text", "text"],
  ["a number", 42, "42"],
])("the message of %s", (_, error, message) => {
  expect(messageOf(error)).toBe(message);
});
