import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { createServer, connect as dial, type Socket } from "node:net";
import { makeAuthority } from "../support/authority.ts";
import { FakeClock } from "../support/clock.ts";
import { startForwardProxy } from "../support/forward-proxy.ts";
import { GrpcRegistry } from "../support/grpc-registry.ts";
import { tempDir } from "../support/temp-dir.ts";
import { until } from "../support/until.ts";
import { answer, c, failureOf, openAt } from "./grpc-fixture.ts";

setDefaultTimeout(30_000);

const directory = tempDir();
const authority = makeAuthority(directory.path);
let plain: GrpcRegistry;
let safe: GrpcRegistry;

beforeAll(async () => {
  plain = await GrpcRegistry.start();
  safe = await GrpcRegistry.start({ tls: authority.issue("IP:0.0.0.0", 2) });
  plain.current = { answer };
  safe.current = { answer };
});
afterAll(async () => {
  await plain[Symbol.asyncDispose]();
  await safe[Symbol.asyncDispose]();
  directory[Symbol.dispose]();
});

/** Leads to this machine, but is no loopback address, which would never go through a proxy. */
const host = "0.0.0.0";
const addressOf = {
  plain: () => `${host}:${plain.port}?no-tls=true`,
  TLS: () => `${host}:${safe.port}?ca=${authority.ca}`,
};

async function tagAt(address: string, env: Record<string, string>): Promise<string | undefined> {
  await using registry = openAt(address, { env });
  return (await registry.latest(c)).release?.tag;
}

/** A proxy that answers a CONNECT as `respond` does. */
async function scriptedProxy(respond: (client: Socket, head: string) => void) {
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    sockets.add(client);
    client.on("error", () => undefined);
    client.on("close", () => sockets.delete(client));
    client.once("data", (head) => respond(client, head.toString()));
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    url: `http://user:secret@127.0.0.1:${address.port}`,
    host: `127.0.0.1:${address.port}`,
    sockets,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

describe.each(["plain", "TLS"] as const)("through a proxy, %s", (kind) => {
  const address = addressOf[kind];

  test("HTTPS_PROXY is asked for a tunnel, once for many calls", async () => {
    await using proxy = await startForwardProxy();
    await using registry = openAt(address(), { env: { HTTPS_PROXY: proxy.url } });
    for (let poll = 0; poll < 3; poll++) expect((await registry.latest(c)).release?.tag).toBe("v1.0.0");
    const port = kind === "plain" ? plain.port : safe.port;
    expect(proxy.requests).toEqual([`CONNECT ${host}:${port} HTTP/1.1`]);
  });

  test("NO_PROXY goes around it", async () => {
    await using proxy = await startForwardProxy();
    expect(await tagAt(address(), { HTTPS_PROXY: proxy.url, NO_PROXY: `other.example,${host}` })).toBe(
      "v1.0.0",
    );
    expect(proxy.connections).toBe(0);
  });

  test("the proxy gets the credentials in its URL", async () => {
    await using proxy = await startForwardProxy({ credentials: "user:s3cret" });
    expect(await tagAt(address(), { HTTPS_PROXY: proxy.url })).toBe("v1.0.0");
  });

  test("wrong credentials are named, not shown", async () => {
    await using proxy = await startForwardProxy({ credentials: "user:right" });
    const wrong = proxy.url.replace("right", "s3cret");
    await using registry = openAt(address(), { env: { HTTPS_PROXY: wrong } });
    const error = await failureOf(registry.latest(c));
    expect(error).toMatchObject({ code: "unauthorized", hint: expect.stringContaining("HTTPS_PROXY") });
    expect(error.message).toEndWith(`the proxy 127.0.0.1:${proxy.port} asks for credentials`);
  });

  test("a cut tunnel is dug again", async () => {
    await using proxy = await startForwardProxy();
    const clock = new FakeClock();
    await using registry = openAt(address(), { clock, env: { HTTPS_PROXY: proxy.url } });
    await registry.latest(c);
    proxy.cut();
    await registry.latest(c).catch(() => clock.advance(60_000));
    expect((await registry.latest(c)).release?.tag).toBe("v1.0.0");
    expect(proxy.connections).toBe(2);
  });

  test("a server's greeting that comes along with the proxy's answer is not lost", async () => {
    await using proxy = await scriptedProxy((client, head) => {
      const [, target = ""] = head.split(" ");
      const upstream = dial(Number(target.split(":")[1]), "127.0.0.1");
      upstream.on("error", () => undefined);
      const begin = (greeting: Uint8Array) => {
        client.write(Buffer.concat([Buffer.from("HTTP/1.1 200 OK\r\n\r\n"), greeting]));
        client.pipe(upstream).pipe(client);
      };
      // A server with TLS lets the client begin.
      if (kind === "TLS") upstream.once("connect", () => begin(new Uint8Array()));
      else upstream.once("data", begin);
    });
    expect(await tagAt(address(), { HTTPS_PROXY: proxy.url })).toBe("v1.0.0");
  });
});

describe("a proxy that", () => {
  test.each<[string, string, string]>([
    ["can't reach the server", "HTTP/1.1 502 Bad Gateway\r\n\r\n", "answered 502"],
    ["refuses", "HTTP/1.0 403 Forbidden\r\n\r\nno", "answered 403"],
    ["speaks something else", "SSH-2.0-OpenSSH_9.2\r\n\r\n", "closed the connection"],
    ["never ends its head", "HTTP/1.1 200 OK\r\nX: ".padEnd(20_000, "x"), "closed the connection"],
    ["closes", "", "closed the connection"],
  ])("%s is named as the cause", async (_, reply, what) => {
    await using proxy = await scriptedProxy((client) => {
      client.write(reply);
      if (!reply.endsWith("x")) client.end();
    });
    await using registry = openAt(addressOf.plain(), { env: { HTTPS_PROXY: proxy.url } });
    const error = await failureOf(registry.latest(c));
    expect(error).toMatchObject({ code: "network-unreachable", hint: expect.stringContaining("NO_PROXY") });
    expect(error.message).toEndWith(`the proxy ${proxy.host}, asked for ${host}:${plain.port}, ${what}`);
  });

  test("is not there is named", async () => {
    await using registry = openAt(addressOf.TLS(), {
      env: { HTTPS_PROXY: "http://user:secret@127.0.0.1:1" },
    });
    expect((await failureOf(registry.latest(c))).message).toEndWith(
      `no connection to ${host}:${safe.port} (by the proxy 127.0.0.1:1) (ECONNREFUSED)`,
    );
  });

  test("never answers lets the call time out, and the connection goes", async () => {
    await using proxy = await scriptedProxy(() => undefined);
    const clock = new FakeClock();
    await using registry = openAt(addressOf.plain(), { clock, env: { HTTPS_PROXY: proxy.url } });
    const failure = failureOf(registry.latest(c));
    await until("it is asked", () => proxy.sockets.size === 1);
    await clock.advance(30_000);
    expect(await failure).toMatchObject({ code: "network-timeout" });
    expect((await failure).message).toEndWith(`(by the proxy ${proxy.host}) within 30s`);
    await until("the connection is closed", () => proxy.sockets.size === 0);
  });

  test("speaks TLS itself is refused at the start", () => {
    const attempt = () =>
      openAt(addressOf.plain(), { env: { HTTPS_PROXY: "https://user:secret@p.example" } });
    expect(attempt).toThrow(expect.objectContaining({ code: "config-invalid" }));
    expect(attempt).not.toThrow("secret");
  });
});

test("variables that the library would read by itself are without effect", async () => {
  const script = `
    const { openAt, c } = await import("./test/registry/grpc-fixture.ts");
    const registry = openAt(process.argv[1]);
    console.log((await registry.latest(c)).release.tag);
    process.exit(0);`;
  const nowhere = "http://127.0.0.1:1";
  const env = {
    ...process.env,
    grpc_proxy: nowhere,
    https_proxy: nowhere,
    http_proxy: nowhere,
    no_proxy: "",
  };
  const child = Bun.spawn([process.execPath, "-e", script, addressOf.plain()], { env, stderr: "pipe" });
  expect(await new Response(child.stdout).text()).toBe("v1.0.0\n");
  expect(await child.exited).toBe(0);
});
