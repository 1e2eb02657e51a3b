import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { chunkName, chunkNames, headName, newChunkId } from "../../src/cache/chunked/names.ts";
import type { KeyValue } from "../../src/cache/key-value.ts";
import { stamp } from "../../src/cache/stamp.ts";
import { DewyError } from "../../src/errors.ts";
import { inChild } from "../support/cache-child.ts";
import { consulAt } from "../support/cache-clients.ts";
import { fileOfSize } from "../support/chunked-cache.ts";
import { sharedConsul, startConsul } from "../support/consul-server.ts";
import { freePort } from "../support/free-port.ts";
import { HttpHost } from "../support/http-host.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(60_000);

const c = { signal: new AbortController().signal };
const key = headName("key");
const deadlines = { head: 500, chunk: 500 };
const secret = "00000000-5ec7-e700-0000-000000000000";

async function errorOf(work: Promise<unknown>): Promise<DewyError> {
  const error = await work.then(
    () => new Error("no error"),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof DewyError)) throw error;
  expect(Bun.inspect(error) + error.message + error.hint).not.toContain(secret);
  expect(error.message).not.toContain("\n");
  return error;
}

const write = (kv: KeyValue) => kv.set(key, Buffer.from("value"), { kind: "head", expected: null }, c);

describe("consul with access control", () => {
  test("none, an unknown token, one that may only read, and one with just the rights of the hint", async () => {
    await using server = await startConsul({ acl: true });
    const url = `consul://${server.host}/apps/dewy`;
    const message = `write the cache: consul at ${server.host} does not allow that`;
    const policy = (word: string) => `key_prefix "apps/dewy/" { policy = "${word}" }`;
    await using none = consulAt(url);
    const hint = `set CONSUL_HTTP_TOKEN to a token with ${policy("write")}`;
    expect(await errorOf(write(none))).toMatchObject({ code: "unauthorized", message, hint });

    await using unknown = consulAt(`${url}?token=${secret}`);
    expect(await errorOf(write(unknown))).toMatchObject({
      code: "unauthorized",
      message: `write the cache: consul at ${server.host} does not know the token`,
    });

    const readable = await server.createToken(policy("read"));
    await using reader = consulAt(url, { env: { CONSUL_HTTP_TOKEN: readable } });
    expect(await reader.get(key, "head", c)).toBeNull();
    expect(await errorOf(write(reader))).toMatchObject({
      code: "unauthorized",
      message,
      hint: `check token= or CONSUL_HTTP_TOKEN; the token needs ${policy("write")}`,
    });
    expect(await errorOf(reader.delete([key], c))).toMatchObject({ code: "unauthorized" });

    const writable = await server.createToken(policy("write"));
    await using writer = consulAt(url, { env: { CONSUL_HTTP_TOKEN: writable } });
    const version = await write(writer);
    expect(version).not.toBeNull();
    expect((await reader.get(key, "head", c))?.version).toBe(version ?? "");
    expect(await Array.fromAsync(writer.list("", c))).toEqual([key]);
    expect(await writer.deleteVersion(key, version ?? "", c)).toBe(true);
    await writer.delete([key], c);
  });
});

describe("consul", () => {
  test("with TLS and a private authority, which SSL_CERT_FILE names", async () => {
    await using server = await startConsul({ tls: true });
    using dir = tempDir();
    const file = fileOfSize(dir.path, 1_500_000);
    const url = `consul://${server.host}/dewy?tls=true`;
    const env = { SSL_CERT_FILE: server.ca ?? "", NODE_EXTRA_CA_CERTS: "" };
    expect(await inChild([url, "put", file.path, file.digest], env)).toMatchObject({ error: null });
    expect(await inChild([url, "fetch", join(dir.path, "to")], env)).toMatchObject({ digest: file.digest });

    await using untrusting = consulAt(url);
    expect(await errorOf(write(untrusting))).toMatchObject({
      code: "network-unreachable",
      hint: "put the authority's certificate into a file and name it in SSL_CERT_FILE",
    });
    await using plain = consulAt(`consul://${server.host}/dewy`);
    expect(await errorOf(write(plain))).toMatchObject({
      code: "config-invalid",
      message: `write the cache: consul at ${server.host} speaks TLS`,
      hint: "add tls=true to the cache URL",
    });
  });

  test("that knows no such datacenter", async () => {
    const { host } = await sharedConsul();
    await using kv = consulAt(`consul://${host}/dewy?dc=mars&token=${secret}`);
    expect(await errorOf(write(kv))).toMatchObject({
      code: "config-invalid",
      message: `write the cache: consul at ${host} knows no datacenter mars`,
    });
    await using own = consulAt(`consul://${host}/${crypto.randomUUID()}?dc=dc1`);
    expect(await write(own)).not.toBeNull();
  });

  test("takes a value of the size it says, and refuses one byte more", async () => {
    const { host } = await sharedConsul();
    await using kv = consulAt(`consul://${host}/${crypto.randomUUID()}`);
    const largest = new Uint8Array(kv.maxValueBytes);
    expect(await kv.set(key, largest, { kind: "chunk" }, c)).not.toBeNull();
    expect((await kv.get(key, "chunk", c))?.body).toHaveLength(largest.length);
    const tooLarge = kv.set(key, new Uint8Array(largest.length + 1), { kind: "chunk" }, c);
    expect(await errorOf(tooLarge)).toMatchObject({
      code: "bad-answer",
      message: `write the cache: consul at ${host} takes no value of 524289 bytes (413)`,
    });
  });

  test("deletes more keys at once than one transaction takes", async () => {
    const { host } = await sharedConsul();
    await using kv = consulAt(`consul://${host}/${crypto.randomUUID()}`);
    const id = newChunkId(new Date());
    for (let index = 0; index < 130; index++) {
      await kv.set(chunkName(id, index), Buffer.from("x"), { kind: "chunk" }, c);
    }
    await kv.set(key, Buffer.from("stays"), { kind: "head" }, c);
    await kv.delete(chunkNames({ id, count: 200 }), c);
    expect(await Array.fromAsync(kv.list("", c))).toEqual([key]);
  });

  test("whose value was written again with the same bytes: the old version is lost all the same", async () => {
    const { host } = await sharedConsul();
    await using kv = consulAt(`consul://${host}/${crypto.randomUUID()}`);
    const first = await write(kv);
    const body = Buffer.from("value");
    expect(await kv.set(key, body, { kind: "head", expected: first }, c)).not.toBeNull();
    expect(await kv.set(key, body, { kind: "head", expected: first }, c)).toBeNull();
    expect(await kv.deleteVersion(key, first ?? "", c)).toBe(false);
  });
});

test("a version is deleted by its index alone: another one may come between looking and deleting", async () => {
  const { value, version } = stamp(Buffer.from("value"));
  const entry = JSON.stringify([{ Value: Buffer.from(value).toString("base64"), ModifyIndex: 17 }]);
  await using host = await HttpHost.start(({ method }) => ({
    status: 200,
    body: method === "GET" ? entry : "false",
  }));
  await using kv = consulAt(`consul://${new URL(host.origin).host}`);
  expect(await kv.deleteVersion(key, version, c)).toBe(false);
  expect(host.requests.map(({ method, path }) => `${method} ${path}`)).toEqual([
    `GET /v1/kv/dewy/${key}`,
    `DELETE /v1/kv/dewy/${key}?cas=17`,
  ]);
});

describe("what answers", () => {
  const answers = async (status: number, body: string, headers: Record<string, string> = {}) =>
    HttpHost.start(() => ({ status, body, headers }));

  // What Consul 1.20 says; a test can't take the quorum from a server that is its own cluster.
  test.each([
    [500, "No cluster leader", "http-status", "has no cluster leader", "raft list-peers"],
    [500, "rpc error making call: No cluster leader", "http-status", "has no cluster leader", "tries again"],
    [
      500,
      "rpc error making call: ACL not found",
      "unauthorized",
      "does not know the token",
      "CONSUL_HTTP_TOKEN",
    ],
    [403, "ACL not found", "unauthorized", "does not know the token", "CONSUL_HTTP_TOKEN"],
    [403, "Permission denied: token with AccessorID 'x'", "unauthorized", "does not allow", "key_prefix"],
    [429, "", "rate-limited", "takes no more requests", "request_limits"],
    [
      503,
      "rate limit exceeded for operation that can only be performed by the leader",
      "rate-limited",
      "(503)",
      "",
    ],
    [503, "anything", "http-status", "answered 503 anything", ""],
    [502, `no way for ${secret}`, "http-status", "answered 502 no way for ***", ""],
    [418, `teapot ${secret}`, "http-status", "answered 418", ""],
  ])("%d %s", async (status, said, code, message, hint) => {
    await using host = await answers(status, said);
    await using kv = consulAt(`consul://${new URL(host.origin).host}/x?token=${secret}`);
    const error = await errorOf(write(kv));
    expect(error).toMatchObject({ code, message: expect.stringContaining(message) });
    expect(error.hint ?? "").toMatch(hint);
    // The token goes into a header, never into what proxies and servers log.
    expect(host.requests[0]?.headers.get("x-consul-token")).toBe(secret);
    expect(host.requests[0]?.path).not.toContain(secret);
  });

  test.each([
    [404, "not found", "404"],
    [200, "<html>", "neither true nor false"],
  ])("%d %s is no Consul's answer", async (status, said, why) => {
    await using host = await answers(status, said);
    const address = new URL(host.origin).host;
    await using kv = consulAt(`consul://${address}`);
    expect(await errorOf(write(kv))).toMatchObject({
      code: "bad-answer",
      message: `write the cache: what answers at ${address} is no Consul (${why})`,
    });
  });

  test.each(["[]", "{}", "null", "<html>", '[{"Value":1,"ModifyIndex":2}]', '["a",1]'])(
    "JSON that is none of Consul's: %s",
    async (said) => {
      await using host = await answers(200, said);
      await using kv = consulAt(`consul://${new URL(host.origin).host}`);
      const swap = kv.set(key, Buffer.from("x"), { kind: "head", expected: "version" }, c);
      expect(await errorOf(swap)).toMatchObject({ code: "bad-answer" });
      if (said !== "[]")
        expect(await errorOf(Array.fromAsync(kv.list("", c)))).toMatchObject({ code: "bad-answer" });
    },
  );

  test("never: an error at the deadline, and the next call does not wait again", async () => {
    await using host = await answers(200, "true");
    host.fail({ hang: true });
    await using kv = consulAt(`consul://${new URL(host.origin).host}`, { deadlines });
    expect(await errorOf(write(kv))).toMatchObject({
      code: "network-timeout",
      message: "write the cache: no whole answer within 0.5s",
    });
    expect(await errorOf(write(kv))).toMatchObject({ code: "rate-limited" });
    expect(host.requests).toHaveLength(1);
  });

  test("is nobody", async () => {
    const port = freePort();
    await using kv = consulAt(`consul://127.0.0.1:${port}`);
    expect(await errorOf(write(kv))).toMatchObject({ code: "network-unreachable" });
  });
});
