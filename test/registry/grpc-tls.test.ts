import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { getCACertificates } from "node:tls";
import { trustedRoots } from "../../src/grpc/roots.ts";
import { type Authority, makeAuthority } from "../support/authority.ts";
import { FakeClock } from "../support/clock.ts";
import { GrpcRegistry } from "../support/grpc-registry.ts";
import { HttpHost } from "../support/http-host.ts";
import { tempDir } from "../support/temp-dir.ts";
import { until } from "../support/until.ts";
import { answer, c, failureOf, openAt } from "./grpc-fixture.ts";

setDefaultTimeout(30_000);

const directory = tempDir();
let authority: Authority;
let server: GrpcRegistry;

beforeAll(async () => {
  authority = makeAuthority(directory.path);
  server = await start("DNS:localhost,IP:127.0.0.1,IP:::1");
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  directory[Symbol.dispose]();
});

/** A server whose certificate holds these names (`DNS:…,IP:…`). */
async function start(
  names: string,
  options: { days?: number; address?: string } = {},
): Promise<GrpcRegistry> {
  const { days = 2, ...rest } = options;
  const started = await GrpcRegistry.start({ tls: authority.issue(names, days), ...rest });
  started.current = { answer };
  return started;
}

async function ask(address: string, env: Record<string, string> = {}): Promise<string | undefined> {
  await using registry = openAt(address, { env });
  return (await registry.latest(c)).release?.tag;
}

describe("with TLS", () => {
  test("a server of a private authority is trusted by ca=", async () => {
    expect(await ask(`127.0.0.1:${server.port}?ca=${authority.ca}`)).toBe("v1.0.0");
    expect(await ask(`localhost:${server.port}?ca=${authority.ca}`)).toBe("v1.0.0");
  });

  test("or by SSL_CERT_FILE", async () => {
    expect(await ask(server.host, { SSL_CERT_FILE: authority.ca })).toBe("v1.0.0");
  });

  test("ca= comes on top of SSL_CERT_FILE, and either is enough", async () => {
    const others = makeAuthority(join(directory.path, "others"));
    expect(await ask(`${server.host}?ca=${authority.ca}`, { SSL_CERT_FILE: others.ca })).toBe("v1.0.0");
    expect(await ask(`${server.host}?ca=${others.ca}`, { SSL_CERT_FILE: authority.ca })).toBe("v1.0.0");
  });

  test("an SSL_CERT_FILE that is no such file leaves the other authorities", async () => {
    const broken = join(directory.path, "broken.pem");
    writeFileSync(broken, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    for (const SSL_CERT_FILE of ["/nowhere.pem", broken]) {
      expect(await ask(`${server.host}?ca=${authority.ca}`, { SSL_CERT_FILE })).toBe("v1.0.0");
    }
  });

  test("a server at an IPv6 address", async () => {
    await using six = await start("IP:::1", { address: "[::1]" });
    expect(await ask(`${six.host}?ca=${authority.ca}`)).toBe("v1.0.0");
  });

  test("a server whose certificate has another name is trusted by server-name=", async () => {
    await using other = await start("DNS:registry.internal");
    const query = `ca=${authority.ca}&server-name=registry.internal`;
    expect(await ask(`${other.host}?${query}`)).toBe("v1.0.0");
  });

  test("the system's authorities and Bun's own are trusted beside them", () => {
    const roots = new Set(trustedRoots(authority.ca, undefined));
    const known = [...getCACertificates("system"), ...getCACertificates("bundled")].map((pem) => pem.trim());
    expect(known.filter((pem) => !roots.has(pem))).toEqual([]);
    expect(roots.size).toBeGreaterThan(new Set(known).size);
  });

  test("a server that does not answer is told from one that can't be reached", async () => {
    await using slow = await start("IP:127.0.0.1");
    slow.current = { hang: true };
    const clock = new FakeClock();
    await using registry = openAt(`${slow.host}?ca=${authority.ca}`, { clock });
    const failure = failureOf(registry.latest(c));
    await until("the call has come", () => slow.requests.length === 1);
    await clock.advance(30_000);
    expect((await failure).message).toEndWith(`no answer from ${slow.host} within 30s`);
  });

  test("an authority renewed on disk needs no restart", async () => {
    const file = join(directory.path, "renewed.pem");
    writeFileSync(file, await Bun.file(makeAuthority(join(directory.path, "old")).ca).bytes());
    const clock = new FakeClock();
    await using registry = openAt(`${server.host}?ca=${file}`, { clock });
    expect((await failureOf(registry.latest(c))).message).toContain("signed by nobody trusted");
    writeFileSync(file, await Bun.file(authority.ca).bytes());
    await clock.advance(60_000);
    expect((await registry.latest(c)).release?.tag).toBe("v1.0.0");
  });
});

describe("without trust", () => {
  test.each<[string, () => Promise<GrpcRegistry>, string, RegExp]>([
    ["an unknown authority", () => start("IP:127.0.0.1"), "", /signed by nobody trusted here \([A-Z_]+\)$/],
    [
      "another name",
      () => start("DNS:other.example"),
      "ca",
      /is for another name \(ERR_TLS_CERT_ALTNAME_INVALID\)$/,
    ],
    ["another address", () => start("IP:127.0.0.2"), "ca", /is for another name/],
    [
      "an expired certificate",
      () => start("IP:127.0.0.1", { days: -1 }),
      "ca",
      /not valid today \(CERT_HAS_EXPIRED\)$/,
    ],
    [
      "a server without TLS",
      () => GrpcRegistry.start(),
      "ca",
      /no TLS connection to 127\.0\.0\.1:\d+ \(\w+\)$/,
    ],
  ])("%s", async (_, make, trust, message) => {
    await using untrusted = await make();
    const query = trust === "ca" ? `?ca=${authority.ca}` : "";
    await using registry = openAt(`${untrusted.host}${query}`);
    const error = await failureOf(registry.latest(c));
    expect(error).toMatchObject({ code: "network-unreachable", retryable: true, hint: expect.any(String) });
    expect(error.message).toMatch(message);
    expect(untrusted.requests).toEqual([]);
  });

  test("the environment's own switch does not open the door", async () => {
    const script = `
      const { openAt, failureOf, c } = await import("./test/registry/grpc-fixture.ts");
      console.log((await failureOf(openAt(process.argv[1]).latest(c))).message);
      process.exit(0);`;
    const env = { ...process.env, NODE_TLS_REJECT_UNAUTHORIZED: "0" };
    const child = Bun.spawn([process.execPath, "-e", script, server.host], { env, stderr: "ignore" });
    expect(await new Response(child.stdout).text()).toContain("signed by nobody trusted");
  });

  test("server-name= does not open the door to other names", async () => {
    await using registry = openAt(`${server.host}?ca=${authority.ca}&server-name=registry.internal`);
    expect((await failureOf(registry.latest(c))).message).toContain("for another name");
  });

  test("no-tls=true to a server with TLS", async () => {
    await using registry = openAt(`${server.host}?no-tls=true`);
    expect(await failureOf(registry.latest(c))).toMatchObject({
      code: "network-unreachable",
      message: `look for the current release: ${server.host} does not speak gRPC`,
      hint: expect.stringContaining("no-tls=true"),
    });
  });
});

describe("a server of something else", () => {
  test("HTTP/1 with TLS", async () => {
    const { cert, key } = authority.issue("IP:127.0.0.1", 2);
    using web = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      reusePort: false,
      tls: { cert, key },
      fetch: () => new Response("hello"),
    });
    await using registry = openAt(`127.0.0.1:${web.port}?ca=${authority.ca}`);
    expect((await failureOf(registry.latest(c))).message).toContain("speaks TLS, but no HTTP/2 (NO_H2)");
  });

  test("HTTP/1 without TLS", async () => {
    await using web = await HttpHost.start(() => ({ status: 200, body: "hello" }));
    const address = web.origin.replace("http://", "");
    await using registry = openAt(`${address}?no-tls=true`);
    expect((await failureOf(registry.latest(c))).message).toEndWith(`${address} does not speak gRPC`);
    await using safe = openAt(`${address}?ca=${authority.ca}`);
    expect((await failureOf(safe.latest(c))).hint).toContain("no-tls=true");
  });

  test("gRPC without our service", async () => {
    await using other = await GrpcRegistry.start({ service: false });
    await using registry = openAt(`${other.host}?no-tls=true`);
    const error = await failureOf(registry.latest(c));
    expect(error).toMatchObject({ code: "http-status", retryable: false });
    expect(error.hint).toContain("dewy.RegistryService");
  });
});

describe("ca=", () => {
  test.each<[string, string | null, RegExp]>([
    ["a file that is not there", null, /can't be read/],
    ["a file without a certificate", "hello", /holds no certificate/],
    [
      "a damaged certificate",
      "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
      /holds a damaged certificate/,
    ],
  ])("%s is refused before anything is asked", (name, content, message) => {
    const path = join(directory.path, `${name.replaceAll(" ", "-")}.pem`);
    if (content !== null) writeFileSync(path, content);
    const attempt = () => openAt(`127.0.0.1:1?ca=${path}`);
    expect(attempt).toThrow(message);
    expect(attempt).toThrow(expect.objectContaining({ code: "config-invalid" }));
  });
});
