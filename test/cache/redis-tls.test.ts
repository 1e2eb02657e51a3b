import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { headName } from "../../src/cache/chunked/names.ts";
import { inChild } from "../support/cache-child.ts";
import { redisAt } from "../support/cache-clients.ts";
import { fileOfSize } from "../support/chunked-cache.ts";
import { sharedRedis, startRedis } from "../support/redis-server.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(30_000);

const c = { signal: new AbortController().signal };
const deadlines = { head: 1000, chunk: 1000 };

describe("rediss", () => {
  test("to a server of a private authority, which SSL_CERT_FILE names", async () => {
    await using server = await startRedis({ tls: true, password: "s3cret" });
    using dir = tempDir();
    const file = fileOfSize(dir.path, 1_500_000);
    const env = { SSL_CERT_FILE: server.ca ?? "", NODE_EXTRA_CA_CERTS: "" };
    const url = `${server.authorizedUrl}/2`;
    expect(await inChild([url, "put", file.path, file.digest], env)).toMatchObject({ error: null });
    const to = join(dir.path, "to");
    expect(await inChild([url, "fetch", to], env)).toMatchObject({ digest: file.digest });
    const wrong = await inChild([url.replace("s3cret", "wrong"), "fetch", to], env);
    expect(wrong.error).toStartWith("unauthorized: ");
  });

  test("to a server of an authority that is not trusted", async () => {
    await using server = await startRedis({ tls: true });
    await using kv = redisAt(server.url);
    await expect(kv.get(headName("key"), "head", c)).rejects.toMatchObject({
      code: "network-unreachable",
      message: expect.stringContaining(`no trusted TLS connection to ${server.host}`),
      hint: "put the authority's certificate into a file and name it in SSL_CERT_FILE",
    });
  });

  test("to a server without TLS", async () => {
    const server = await sharedRedis();
    await using kv = redisAt(server.url.replace("redis:", "rediss:"), { deadlines });
    await expect(kv.get(headName("key"), "head", c)).rejects.toMatchObject({
      code: "network-unreachable",
      message: `read the cache: ${server.host} does not speak TLS`,
      hint: "write redis:// if that Redis has no TLS; else check the port",
    });
  });
});

test("redis to a server that wants TLS", async () => {
  await using server = await startRedis({ tls: true });
  await using kv = redisAt(server.url.replace("rediss:", "redis:"), { deadlines });
  await expect(kv.get(headName("key"), "head", c)).rejects.toMatchObject({
    code: "network-unreachable",
    hint: "if it is a Redis with TLS, write rediss://",
  });
});
