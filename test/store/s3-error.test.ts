import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { ObjectStore } from "../../src/store/store.ts";
import { failureOf } from "../http/fixture.ts";
import { HttpHost, type Reply } from "../support/http-host.ts";
import { s3, table } from "./s3-error-table.ts";
import { anyEnv, openAt } from "./s3-fixture.ts";

const c = { signal: new AbortController().signal };
const secrets = [
  "example/secret+key",
  "AKIAEXAMPLEKEYID",
  "SECRETSESSIONTOKEN",
  "5ec2e75167a7ece6",
  "StringToSign",
];

let reply: Reply;
let host: HttpHost;
beforeAll(async () => {
  host = await HttpHost.start(() => reply);
});
afterAll(() => host[Symbol.asyncDispose]());

/** A service that answers everything alike. */
function openFront(answer: Reply, env: Record<string, string> = {}): ObjectStore {
  reply = answer;
  const url = `s3://eu-central-1/releases/app?endpoint=${host.origin}`;
  const all = { ...anyEnv, AWS_SESSION_TOKEN: "SECRETSESSIONTOKEN", AWS_MAX_ATTEMPTS: "1", ...env };
  return openAt(url, all);
}

describe.each(["get", "list", "put", "head", "putFile"] as const)("%s told of", (operation) => {
  test.each(table)("%s", async (_, answer, code, message, hint) => {
    await using store = openFront(answer);
    const error = await failureOf(perform(store, operation));
    // A HEAD that fails has no body, and a service in trouble is not asked again for the words.
    if (operation === "head" && answer.status >= 500) {
      expect(error.message).toMatch(/wants fewer requests|answered 5\d\d$/);
      return;
    }
    expect(error.message).toMatch(message);
    expect(`${error.code}`).toBe(code);
    if (hint === null) expect(error.hint ?? "").not.toContain("endpoint=");
    else expect(error.hint).toMatch(hint);
    expect(error.message).toContain("s3://eu-central-1/releases/app");
    expect(error.message).not.toContain("\n");
    for (const secret of secrets) expect(`${error.message} ${error.hint}`).not.toContain(secret);
  });
});

test.each<[string, Reply, number]>([
  ["what the service asks for", s3(503, "SlowDown", "", { "Retry-After": "42" }), 42_000],
  ["ten seconds when it names no time", s3(503, "SlowDown"), 10_000],
  ["a minute when it only says 429", { status: 429, body: "" }, 60_000],
])("a busy service is left alone for %s", async (_, answer, waitMs) => {
  await using store = openFront(answer);
  const error = await failureOf(store.get("key", null, c));
  expect(error.retryAfterMs).toBeGreaterThan(waitMs - 9000);
  expect(error.retryAfterMs).toBeLessThan(waitMs + 1000);
  const asked = host.requests.length;
  const refused = await failureOf(store.put("other", Buffer.from("x"), {}, c));
  expect(refused).toMatchObject({
    code: "rate-limited",
    message: expect.stringContaining("not asking 127.0.0.1"),
  });
  expect(host.requests).toHaveLength(asked);
});

test("what these credentials may not do keeps nobody from what they may", async () => {
  await using store = openFront(s3(403, "AccessDenied"));
  await failureOf(store.put("key", Buffer.from("x"), {}, c));
  reply = s3(404, "NoSuchKey");
  expect(await store.get("key", null, c)).toBeNull();
});

test("wrong credentials are not sent again and again", async () => {
  await using store = openFront(s3(403, "SignatureDoesNotMatch"));
  await failureOf(store.get("key", null, c));
  const asked = host.requests.length;
  expect(await failureOf(store.get("key", null, c))).toMatchObject({ code: "rate-limited" });
  expect(host.requests).toHaveLength(asked);
});

test("a service in trouble is asked three times", async () => {
  await using store = openFront(s3(500, "InternalError"), { AWS_MAX_ATTEMPTS: "" });
  const asked = host.requests.length;
  await failureOf(store.get("key", null, c));
  expect(host.requests).toHaveLength(asked + 3);
});

function perform(
  store: ObjectStore,
  operation: "get" | "list" | "put" | "head" | "putFile",
): Promise<unknown> {
  switch (operation) {
    case "get":
      return store.get("key", null, c);
    case "list":
      return Array.fromAsync(store.list("", {}, c));
    case "put":
      return store.put("key", Buffer.from("body"), {}, c);
    case "head":
      return store.head("key", c);
    case "putFile":
      return store.putFile("key", { path: import.meta.path, digest: digestOfThis }, c);
  }
}

const digestOfThis = `sha256:${Bun.SHA256.hash(await Bun.file(import.meta.path).bytes(), "hex")}` as const;
