import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { type Authority, makeAuthority } from "../support/authority.ts";
import { startForwardProxy } from "../support/forward-proxy.ts";
import { SlackServer } from "../support/slack-server.ts";
import { tempDir } from "../support/temp-dir.ts";
import { token } from "./slack-fixture.ts";

/** What slack-child.ts prints. */
async function runChild(server: SlackServer, env: Record<string, string> = {}): Promise<unknown> {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "slack-child.ts")], {
    env: { PATH: process.env["PATH"], SLACK_TOKEN: token, SLACK_API_URL: server.apiUrl, ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  return await new Response(child.stdout).json();
}

describe("a plain server", () => {
  test("is asked through HTTP_PROXY, unless NO_PROXY names it", async () => {
    await using server = await SlackServer.start({ token });
    await using proxy = await startForwardProxy();
    expect(await runChild(server, { HTTP_PROXY: proxy.url })).toBe("taken");
    expect(proxy.requests).toEqual([`POST ${server.apiUrl}chat.postMessage HTTP/1.1`]);
    expect(await runChild(server, { HTTP_PROXY: proxy.url, NO_PROXY: "127.0.0.1" })).toBe("taken");
    expect(proxy.requests).toHaveLength(1);
    expect(server.messages).toHaveLength(2);
  });
});

describe("a server with a certificate by an authority of its own", () => {
  const dir = tempDir();
  let authority: Authority;
  let server: SlackServer;
  beforeAll(async () => {
    authority = makeAuthority(dir.path);
    server = await SlackServer.start({ token, tls: authority.issue("IP:127.0.0.1", 1) });
  });
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
    dir[Symbol.dispose]();
  });

  test("is trusted by SSL_CERT_FILE", async () => {
    expect(await runChild(server, { SSL_CERT_FILE: authority.ca })).toBe("taken");
  });

  test("is asked through a tunnel, even one that wants a password", async () => {
    await using proxy = await startForwardProxy({ credentials: "user:password" });
    expect(await runChild(server, { SSL_CERT_FILE: authority.ca, HTTPS_PROXY: proxy.url })).toBe("taken");
    expect(proxy.requests).toEqual([`CONNECT ${server.host} HTTP/1.1`]);
  });

  test("is asked past the proxy where NO_PROXY names it", async () => {
    await using proxy = await startForwardProxy();
    const env = { SSL_CERT_FILE: authority.ca, HTTPS_PROXY: proxy.url, NO_PROXY: "127.0.0.1" };
    expect(await runChild(server, env)).toBe("taken");
    expect(proxy.connections).toBe(0);
  });

  test("is not reached through a proxy that is given a wrong password, and the error says so without it", async () => {
    await using proxy = await startForwardProxy({ credentials: "user:password" });
    const wrong = `http://user:hunter2@127.0.0.1:${proxy.port}`;
    const answer = await runChild(server, { SSL_CERT_FILE: authority.ca, HTTPS_PROXY: wrong });
    expect(answer).toMatchObject({
      code: "network-unreachable",
      hint: expect.stringContaining("HTTPS_PROXY"),
      retryable: true,
    });
    expect(JSON.stringify(answer)).not.toContain("hunter2");
    expect(JSON.stringify(answer)).not.toContain(token);
  });

  test("is not trusted without, gets no token, and the error says what to do", async () => {
    const before = server.calls.length;
    expect(await runChild(server)).toMatchObject({
      code: "network-unreachable",
      message: expect.stringMatching(/no trusted TLS connection to 127\.0\.0\.1:\d+ \(/),
      hint: expect.stringContaining("SSL_CERT_FILE"),
      retryable: true,
    });
    expect(server.calls).toHaveLength(before);
  });
});
