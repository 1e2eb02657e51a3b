import { afterAll, beforeAll, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { status } from "@grpc/grpc-js";
import { GrpcRegistry } from "../support/grpc-registry.ts";
import { until } from "../support/until.ts";
import { answer, artifactUrl, c, failureOf, openAt, record } from "./grpc-fixture.ts";

setDefaultTimeout(30_000);

/**
 * Of test/registry/contract.ts this repeats what a registry without a list can do. Left out: choosing among tags,
 * slots, constraints and CalVer (the server chooses), finding a release that is not current (there is no such call),
 * listing several files (an answer names one), the reports' body (the wire has its own), opening artifacts (whoever
 * serves their scheme does).
 */

let server: GrpcRegistry;

beforeAll(async () => {
  server = await GrpcRegistry.start();
});
afterAll(() => server[Symbol.asyncDispose]());
beforeEach(() => {
  server.current = { code: status.NOT_FOUND };
  server.report = null;
  server.requests.length = 0;
  server.reports.length = 0;
  server.headers.length = 0;
});

function open(query = "", deps: Parameters<typeof openAt>[1] = {}) {
  return openAt(`${server.host}?no-tls=true${query}`, deps);
}

describe("the current release", () => {
  test("is what the server says, with the file that its address names", async () => {
    await using registry = open();
    server.current = { answer: { ...answer, createdAt: { seconds: 1763717806n, nanos: 500_000_000 } } };
    const file = {
      name: "app_linux_amd64.tar.gz",
      url: artifactUrl,
      sizeBytes: null,
      digest: null,
      revision: artifactUrl,
    };
    expect(await registry.latest(c)).toEqual({
      release: {
        tag: "v1.0.0",
        createdAt: new Date("2025-11-21T09:36:46.500Z"),
        artifact: file,
        files: [file],
      },
      otherSlot: null,
    });
  });

  test("is none as long as the server finds none", async () => {
    await using registry = open();
    expect(await registry.latest(c)).toEqual({ release: null, otherSlot: null });
    server.current = { answer };
    expect((await registry.latest(c)).release?.tag).toBe("v1.0.0");
  });

  test("follows the server, forth and back", async () => {
    await using registry = open();
    for (const tag of ["v1.0.0", "v1.1.0", "v1.0.0"]) {
      server.current = { answer: { ...answer, tag } };
      expect((await registry.latest(c)).release?.tag).toBe(tag);
    }
  });

  test("has no artifact until the server names one", async () => {
    await using registry = open();
    server.current = { answer: { id: "a1", tag: "v1.0.0" } };
    expect((await registry.latest(c)).release).toEqual({
      tag: "v1.0.0",
      createdAt: null,
      artifact: null,
      files: [],
    });
    server.current = { answer };
    expect((await registry.latest(c)).release?.artifact?.name).toBe("app_linux_amd64.tar.gz");
  });

  test("is the same whatever the answer's id, and another with another address", async () => {
    await using registry = open();
    const revisionOf = async (changed: object) => {
      server.current = { answer: { ...answer, ...changed } };
      return (await registry.latest(c)).release?.artifact?.revision;
    };
    const first = await revisionOf({});
    expect(await revisionOf({ id: "a2" })).toBe(first);
    expect(await revisionOf({ artifactUrl: artifactUrl.replace("app_", "app-2_") })).not.toBe(first);
  });

  test("is found by its tag; another one is not", async () => {
    await using registry = open();
    server.current = { answer };
    expect(await registry.find("v1.0.0", c)).toMatchObject({ tag: "v1.0.0", artifact: { url: artifactUrl } });
    expect(await registry.find("v0.9.0", c)).toBeNull();
    server.current = { code: status.NOT_FOUND };
    expect(await registry.find("v1.0.0", c)).toBeNull();
  });

  test.each<[string, Uint8Array]>([
    ["bytes that are no message", Buffer.from("0aff", "hex")],
    ["text that is no UTF-8", Buffer.from("1202c328", "hex")],
    ["empty messages", Buffer.alloc(0)],
  ])("%s are a bad answer", async (_, bytes) => {
    await using registry = open();
    server.current = { bytes };
    expect(await failureOf(registry.latest(c))).toMatchObject({ code: "bad-answer" });
  });

  test("fields of later versions of the wire are passed over", async () => {
    await using registry = open();
    server.current = { bytes: Buffer.from("0a0131120276311a0b68747470733a2f2f782f79ba06036e6577", "hex") };
    expect((await registry.latest(c)).release).toMatchObject({ tag: "v1", artifact: { name: "y" } });
  });

  test("an answer of more than a mebibyte is refused", async () => {
    await using registry = open();
    server.current = { bytes: Buffer.alloc(1024 * 1024 + 1) };
    const error = await failureOf(registry.latest(c));
    expect(error).toMatchObject({ code: "bad-answer" });
    expect(error.message).toBe(`look for the current release: the answer of ${server.host} is too large`);
  });
});

describe("the request", () => {
  test("names this host's platform, and an artifact only when one is wanted", async () => {
    await using registry = open("", { platform: { os: "darwin", arch: "arm64" } });
    await using wanting = open("&artifact=app.zip");
    await registry.latest(c);
    await wanting.latest(c);
    expect(server.requests.map(({ os, arch, arifactName }) => [os, arch, arifactName])).toEqual([
      ["darwin", "arm64", undefined],
      ["linux", "amd64", "app.zip"],
    ]);
    expect(server.headers[0]?.["user-agent"]).toStartWith("dewy/1.2.3 ");
  });

  test("all go over one connection", async () => {
    await using registry = open();
    server.peers.clear();
    for (let poll = 0; poll < 5; poll++) await registry.latest(c);
    server.current = { answer };
    await registry.latest(c);
    await registry.report(record, c);
    expect(server.peers.size).toBe(1);
  });

  test("goes to a server by its IPv6 address", async () => {
    await using six = await GrpcRegistry.start({ address: "[::1]" });
    six.current = { answer };
    await using registry = openAt(`${six.host}?no-tls=true`);
    expect((await registry.latest(c)).release?.tag).toBe("v1.0.0");
  });

  test("ends with the reason of whoever stops it, also on the server", async () => {
    await using slow = await GrpcRegistry.start();
    await using registry = openAt(`${slow.host}?no-tls=true`);
    slow.current = { hang: true };
    const stop = new AbortController();
    const asked = registry.latest({ signal: stop.signal });
    await until("the call has come", () => slow.requests.length === 1);
    stop.abort(new Error("shut down"));
    await expect(asked).rejects.toThrow("shut down");
    await until("the server knows", () => slow.cancelled === 1);
    await expect(registry.latest({ signal: stop.signal })).rejects.toThrow("shut down");
    slow.current = { answer };
    expect((await registry.latest(c)).release?.tag).toBe("v1.0.0");
    expect(slow.peers.size).toBe(1);
  });
});

describe("a report", () => {
  test("names the answer that the release came from; the same record twice is one report", async () => {
    await using registry = open();
    server.current = { answer };
    await registry.latest(c);
    server.current = { answer: { ...answer, id: "a2" } };
    await registry.latest(c);
    server.current = { answer: { id: "b", tag: "v2.0.0" } };
    await registry.latest(c);
    await registry.report(record, c);
    await registry.report(record, c);
    expect(server.reports).toHaveLength(1);
    expect(server.reports[0]).toMatchObject({ id: "a2", tag: "v1.0.0", command: "server" });
    expect(server.reports[0]?.err).toBeUndefined();
  });

  test.each([
    ["failed" as const, "the app did not start", "the app did not start"],
    ["rolled-back" as const, undefined, "rolled-back"],
  ])("of one that %s says why", async (result, error, err) => {
    await using registry = open();
    server.current = { answer };
    await registry.latest(c);
    await registry.report({ ...record, result, error }, c);
    expect(server.reports[0]).toMatchObject({ err });
  });

  test("tells a long story short", async () => {
    await using registry = open();
    server.current = { answer };
    await registry.report({ ...record, result: "failed", error: "x".repeat(5000) }, c);
    expect(server.reports[0]?.err).toHaveLength(1000);
  });

  test("needs what the last hundred answers and records were, no more", async () => {
    await using registry = open();
    const answered = async (tag: string, id: string) => {
      server.current = { answer: { id, tag } };
      await registry.latest(c);
    };
    await answered("v1.0.0", "a1");
    for (let n = 0; n < 60; n++) await answered(`v2.${n}`, "b");
    await answered("v1.0.0", "a2");
    for (let n = 60; n < 120; n++) await answered(`v2.${n}`, "b");
    for (let n = 0; n <= 100; n++) await registry.report({ ...record, id: `${n}` }, c);
    expect(server.reports.map(({ id }) => id)).toEqual(Array(101).fill("a2"));
    await registry.report({ ...record, id: "100" }, c);
    await registry.report({ ...record, id: "0" }, c);
    expect(server.reports).toHaveLength(102);
    server.requests.length = 0;
    await registry.report({ ...record, id: "other", tag: "v2.0" }, c);
    expect(server.requests).toHaveLength(1);
  });

  test("after a restart of the agent asks for the id first; without one it has the tag alone", async () => {
    server.current = { answer };
    await using registry = open();
    await registry.report(record, c);
    server.current = { answer: { id: "b", tag: "v2.0.0" } };
    await using later = open();
    await later.report(record, c);
    server.current = { code: status.NOT_FOUND };
    await using last = open();
    await last.report(record, c);
    expect(server.reports.map(({ id, tag }) => [id, tag])).toEqual([
      ["a1", "v1.0.0"],
      ["", "v1.0.0"],
      ["", "v1.0.0"],
    ]);
  });

  test("that failed can be repeated", async () => {
    await using registry = open();
    server.current = { answer };
    await registry.latest(c);
    server.report = { code: status.ABORTED };
    expect(await failureOf(registry.report(record, c))).toMatchObject({ retryable: true });
    server.report = null;
    server.reports.length = 0;
    await using again = open();
    await again.report(record, c);
    expect(server.reports).toHaveLength(1);
  });

  test.each([
    ["for an unknown release", status.NOT_FOUND],
    ["to a server that takes none", status.UNIMPLEMENTED],
  ])("%s is not worth repeating", async (_, code) => {
    await using registry = open();
    server.current = { answer };
    server.report = { code };
    expect(await failureOf(registry.report(record, c))).toMatchObject({ retryable: false });
  });
});
