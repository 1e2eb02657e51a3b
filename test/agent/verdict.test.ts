import { describe, expect, test } from "bun:test";
import { judge } from "../../src/agent/deploy/verdict.ts";
import { emptyState, type State } from "../../src/agent/state.ts";
import { DewyError, type ErrorCode } from "../../src/errors.ts";
import type { Digest } from "../../src/release/release.ts";

const now = new Date("2026-11-21T12:00:00Z");
const good = {
  tag: "v1.0.0",
  digest: null,
  artifact: "app.zip",
  release: "20261121T110000Z",
  since: now.toISOString(),
};
const state: State = { ...emptyState, current: good };
const attempt = (code: ErrorCode, details = {}) => ({
  tag: "v2.0.0",
  moving: false,
  digest: null,
  fingerprint: "print",
  failure: new DewyError(code, "what failed", details),
  returning: false,
  now,
});

describe("a moving tag", () => {
  const digest = (letter: string): Digest => `sha256:${letter.repeat(64)}`;
  const latest = { ...good, tag: "latest", digest: digest("a") };
  const next = { ...attempt("start-failed"), tag: "latest", digest: digest("b") };

  test("whose new content fails is quarantined by digest: what it meant before serves", () => {
    expect(judge({ ...next, moving: true }, { ...state, current: latest })).toMatchObject({
      kind: "quarantine",
      quarantine: [{ tag: "latest", digest: digest("b") }],
    });
  });

  test.each([
    ["its own content fails again", { ...next, moving: true, digest: digest("a") }],
    ["it does not move after all", next],
  ])("where %s, there is nothing good to fall back on", (_, failed) => {
    expect(judge(failed, { ...state, current: latest })).toMatchObject({ kind: "retry" });
  });
});

describe("with a good version serving", () => {
  test.each<ErrorCode>([
    "start-failed",
    "health-failed",
    "digest-mismatch",
    "archive-refused",
    "archive-corrupt",
    "artifact-too-large",
  ])("%s is the release's own fault: quarantined", (code) => {
    expect(judge(attempt(code), state)).toEqual({
      kind: "quarantine",
      quarantine: [
        { tag: "v2.0.0", digest: null, fingerprint: "print", reason: "what failed", at: now.toISOString() },
      ],
      reason: "what failed",
      hint: null,
    });
  });

  test.each<ErrorCode>([
    "network-unreachable",
    "network-timeout",
    "unauthorized",
    "rate-limited",
    "http-status",
    "bad-answer",
    "disk-full",
    "engine-unreachable",
    "engine-failed",
    "filesystem",
    "hook-failed",
    "internal",
  ])("%s is not: tried again later", (code) => {
    expect(judge(attempt(code), state)).toMatchObject({
      kind: "retry",
      delayMs: 10_000,
      failure: { tag: "v2.0.0", count: 1, nextTryAt: "2026-11-21T12:00:10.000Z", lastError: "what failed" },
    });
  });
});

describe("with nothing to fall back on it is tried again", () => {
  test.each<[string, State["current"]]>([
    ["on a fresh host", null],
    ["when it is the recorded release itself that must be put back", { ...good, tag: "v2.0.0" }],
  ])("%s", (_, current) => {
    expect(judge(attempt("start-failed"), { ...state, current }).kind).toBe("retry");
  });
});

describe("failures in a row", () => {
  const failure = {
    tag: "v2.0.0",
    fingerprint: "print",
    count: 3,
    lastError: "",
    at: now.toISOString(),
    nextTryAt: now.toISOString(),
  };

  test.each([
    ["of the same release count", failure, 4, 80_000],
    ["begin anew when it was published again", { ...failure, fingerprint: "other" }, 1, 10_000],
    ["begin anew with another tag", { ...failure, tag: "v1.9.0" }, 1, 10_000],
  ])("%s", (_, before, count, delayMs) => {
    const verdict = judge(attempt("filesystem"), { ...state, failure: before });
    expect(verdict).toMatchObject({ kind: "retry", delayMs, failure: { count } });
  });

  test("the other side's wish for more patience is heard, for less is not", () => {
    expect(judge(attempt("rate-limited", { retryAfterMs: 90_000 }), state)).toMatchObject({
      delayMs: 90_000,
    });
    expect(judge(attempt("rate-limited", { retryAfterMs: 1 }), state)).toMatchObject({ delayMs: 10_000 });
  });
});

describe("a try that ends with the end of what serves", () => {
  const row = (codes: readonly ErrorCode[], changes: Partial<ReturnType<typeof attempt>> = {}) => {
    const tried: string[] = [];
    let failure: State["failure"] = null;
    for (const code of codes) {
      const verdict = judge({ ...attempt(code), ...changes }, { ...state, failure });
      tried.push(verdict.kind === "retry" ? "again" : verdict.reason);
      failure = verdict.kind === "retry" ? verdict.failure : null;
    }
    return tried;
  };
  const blamed = "each of 3 tries ended what serves: what failed";

  test.each<[string, ErrorCode[], string[]]>([
    ["the third in a row", ["serving-ended", "serving-ended", "serving-ended"], ["again", "again", blamed]],
    [
      "the third, whatever kept it from being checked in between",
      ["serving-ended", "network-timeout", "serving-ended", "disk-full", "serving-ended"],
      ["again", "again", "again", "again", blamed],
    ],
    [
      "no other failure after two",
      ["serving-ended", "serving-ended", "network-timeout"],
      ["again", "again", "again"],
    ],
  ])("is the release's fault from %s on", (_, codes, tried) => {
    expect(row(codes)).toEqual(tried);
  });

  test("makes no failure of the host the release's fault, however many there were", () => {
    const at = now.toISOString();
    const before = { tag: "v2.0.0", fingerprint: "print", lastError: "", at, nextTryAt: at };
    const failure = { ...before, count: 5, servingEnds: 5 };
    expect(judge(attempt("disk-full"), { ...state, failure }).kind).toBe("retry");
  });

  test("is none of what is gone back to: what serves is bad", () => {
    const codes = Array.from({ length: 5 }, () => "serving-ended" as const);
    expect(row(codes, { returning: true })).toEqual(codes.map(() => "again"));
  });

  test("is none of what comes after a release that is to be left", () => {
    const stranded = {
      release: good.release,
      reason: "",
      why: "",
      hint: "",
      at: "",
      diedAt: null,
      triedAt: "",
      unlike: null,
    };
    const failure = { tag: "v2.0.0", fingerprint: "print", count: 2, servingEnds: 2, lastError: "" };
    const before = { ...state, failure: { ...failure, at: now.toISOString(), nextTryAt: now.toISOString() } };
    expect(judge(attempt("serving-ended"), before).kind).toBe("quarantine");
    expect(judge(attempt("serving-ended"), { ...before, stranded }).kind).toBe("retry");
  });

  test.each([
    ["it was published again", { tag: "v2.0.0", fingerprint: "other" }],
    ["another release failed", { tag: "v1.9.0", fingerprint: "print" }],
    ["an older dewy's state does not say", { tag: "v2.0.0", fingerprint: "print", servingEnds: undefined }],
  ])("counts anew where %s", (_, changes) => {
    const at = now.toISOString();
    const failure = { count: 2, servingEnds: 2, lastError: "", at, nextTryAt: at, ...changes };
    expect(judge(attempt("serving-ended"), { ...state, failure })).toMatchObject({
      kind: "retry",
      failure: { servingEnds: 1 },
    });
  });
});

describe("the quarantine", () => {
  const entry = (tag: string, digest: `sha256:${string}` | null = null) => ({
    tag,
    digest,
    fingerprint: "old",
    reason: "",
    at: now.toISOString(),
  });

  test("holds a tag and digest once", () => {
    const verdict = judge(attempt("start-failed"), {
      ...state,
      quarantine: [entry("v2.0.0"), entry("v1.9.0")],
    });
    if (verdict.kind !== "quarantine") throw new Error(verdict.kind);
    expect(verdict.quarantine.map(({ tag, fingerprint }) => [tag, fingerprint])).toEqual([
      ["v1.9.0", "old"],
      ["v2.0.0", "print"],
    ]);
  });

  test("of one tag with other bytes is a second entry", () => {
    const other = entry("v2.0.0", `sha256:${"a".repeat(64)}`);
    const verdict = judge(attempt("start-failed"), { ...state, quarantine: [other] });
    expect(verdict).toMatchObject({ quarantine: [other, { tag: "v2.0.0", digest: null }] });
  });

  test("forgets the oldest of very many", () => {
    const quarantine = Array.from({ length: 50 }, (_, index) => entry(`v0.0.${index}`));
    const verdict = judge(attempt("start-failed"), { ...state, quarantine });
    if (verdict.kind !== "quarantine") throw new Error(verdict.kind);
    expect(verdict.quarantine).toHaveLength(50);
    expect(verdict.quarantine[0]?.tag).toBe("v0.0.1");
    expect(verdict.quarantine.at(-1)?.tag).toBe("v2.0.0");
  });
});
