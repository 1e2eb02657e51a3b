import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { failureOf } from "../http/fixture.ts";
import { type ForwardProxy, startForwardProxy } from "../support/forward-proxy.ts";
import { type Minio, sharedMinio, startMinio } from "../support/minio.ts";
import { anyEnv, freshBucket, openAt, runChild, urlOf } from "./s3-fixture.ts";

/** Small objects, 20 MiB up in three parts and down again, a listing. */
const done = { read: "one", fetched: true, same: true, keys: ["large", "small"] };

describe("a plain server", () => {
  test("is asked through the proxy, over one connection", async () => {
    await using proxy = await startForwardProxy();
    const { minio, bucket } = await freshBucket(await sharedMinio());
    const env = { ...minio.env, HTTP_PROXY: proxy.url };
    expect(await runChild(urlOf(minio, bucket), "work", env)).toEqual(done);
    expect(proxy.requests.length).toBeGreaterThanOrEqual(20);
    expect(proxy.requests.every((line) => line.includes(` http://${minio.host}/${bucket}`))).toBe(true);
    expect(proxy.connections).toBe(1);
  });

  test("is asked through a proxy that wants credentials", async () => {
    await using proxy = await startForwardProxy({ credentials: "user:password" });
    const { minio, bucket } = await freshBucket();
    expect(await runChild(urlOf(minio, bucket), "look", { ...minio.env, HTTP_PROXY: proxy.url })).toEqual({
      key: null,
    });
    const refused = await runChild(urlOf(minio, bucket), "look", {
      ...minio.env,
      HTTP_PROXY: `http://user:wrong@127.0.0.1:${proxy.port}`,
    });
    expect(refused).toMatchObject({ code: "bad-answer", message: expect.stringContaining("status 407") });
    expect(JSON.stringify(refused)).not.toContain("wrong");
  });

  test("is asked directly where NO_PROXY names it", async () => {
    await using proxy = await startForwardProxy();
    const { minio, bucket } = await freshBucket();
    const env = { ...minio.env, HTTP_PROXY: proxy.url, NO_PROXY: "127.0.0.1" };
    expect(await runChild(urlOf(minio, bucket), "look", env)).toEqual({ key: null });
    expect(proxy.connections).toBe(0);
  });
});

describe("a server with a certificate by an authority of its own", () => {
  let minio: Minio;
  let proxy: ForwardProxy;
  beforeAll(async () => {
    minio = await startMinio({ tls: true });
    proxy = await startForwardProxy();
  });
  afterAll(async () => {
    await proxy[Symbol.asyncDispose]();
    await minio[Symbol.asyncDispose]();
  });

  test.each(["SSL_CERT_FILE", "AWS_CA_BUNDLE"])("is trusted by %s, through one tunnel", async (name) => {
    const { bucket } = await freshBucket(minio);
    const before = proxy.requests.length;
    const env = { ...minio.env, HTTPS_PROXY: proxy.url, [name]: minio.ca ?? "" };
    expect(await runChild(urlOf(minio, bucket), "work", env)).toEqual(done);
    const asked = proxy.requests.slice(before);
    expect(new Set(asked)).toEqual(new Set([`CONNECT ${minio.host} HTTP/1.1`]));
    expect(asked).toHaveLength(1);
  });

  test("is not trusted without, and the error says what to do", async () => {
    const { bucket } = await freshBucket(minio);
    const answer = await runChild(urlOf(minio, bucket), "look", minio.env);
    expect(answer).toMatchObject({
      code: "network-unreachable",
      message: expect.stringMatching(/no trusted TLS connection to 127\.0\.0\.1:\d+ \(/),
      hint: expect.stringContaining("SSL_CERT_FILE"),
    });
  });
});

describe("the address", () => {
  test.each<[string, string, string]>([
    ["of AWS", "s3://eu-central-1/releases/app", "releases.s3.eu-central-1.amazonaws.com:443"],
    [
      "of AWS, by path",
      "s3://eu-central-1/releases/app?path-style=true",
      "s3.eu-central-1.amazonaws.com:443",
    ],
    ["of AWS in China", "s3://cn-north-1/releases", "releases.s3.cn-north-1.amazonaws.com.cn:443"],
    ["of a bucket with dots", "s3://eu-central-1/a.release", "s3.eu-central-1.amazonaws.com:443"],
    ["of an own service", "s3://x/releases?endpoint=https://s3.test.invalid", "s3.test.invalid:443"],
    [
      "of an own service, by host",
      "s3://x/releases?endpoint=https://s3.test.invalid&path-style=false",
      "releases.s3.test.invalid:443",
    ],
  ])("%s: %s", async (_, url, address) => {
    const asked: string[] = [];
    // Never connects anybody, so nothing leaves this machine.
    using proxy = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        data(socket, data) {
          asked.push(data.toString().split("\r\n")[0] ?? "");
          socket.end("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n");
        },
      },
    });
    const env = { ...anyEnv, AWS_MAX_ATTEMPTS: "1", HTTPS_PROXY: `http://127.0.0.1:${proxy.port}` };
    expect(await runChild(url, "look", env)).toMatchObject({ code: expect.any(String) });
    expect(asked).toContain(`CONNECT ${address} HTTP/1.1`);
  });

  test("comes from AWS_ENDPOINT_URL_S3, else AWS_ENDPOINT_URL, unless the URL names one or both are to be ignored", async () => {
    const { minio, bucket } = await freshBucket();
    const url = `s3://${minio.region}/${bucket}`;
    const nowhere = "http://127.0.0.1:1";
    const c = { signal: new AbortController().signal };
    for (const env of [
      { AWS_ENDPOINT_URL: minio.endpoint },
      { AWS_ENDPOINT_URL_S3: minio.endpoint, AWS_ENDPOINT_URL: nowhere },
    ]) {
      await using store = openAt(url, { ...minio.env, ...env });
      expect(await store.head("key", c)).toBeNull();
    }
    await using named = openAt(urlOf(minio, bucket), { ...minio.env, AWS_ENDPOINT_URL_S3: nowhere });
    expect(await named.head("key", c)).toBeNull();
    await using wrong = openAt(url, { ...minio.env, AWS_ENDPOINT_URL: nowhere });
    expect(await failureOf(wrong.head("key", c))).toMatchObject({ code: "network-unreachable" });
    const proxy = "http://127.0.0.1:1";
    const ignored = {
      ...minio.env,
      AWS_ENDPOINT_URL: minio.endpoint,
      AWS_IGNORE_CONFIGURED_ENDPOINT_URLS: "true",
    };
    expect(await runChild(url, "look", { ...ignored, HTTPS_PROXY: proxy })).toMatchObject({
      code: "network-unreachable",
      message: expect.stringContaining("amazonaws.com"),
    });
  });
});
