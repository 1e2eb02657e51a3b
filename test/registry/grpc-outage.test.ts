import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { FakeClock } from "../support/clock.ts";
import { GrpcRegistry } from "../support/grpc-registry.ts";
import { type ServerProcess, startServer } from "../support/server-process.ts";
import { tempDir } from "../support/temp-dir.ts";
import { sharedToxiproxy, type Proxy as TcpProxy } from "../support/toxiproxy.ts";
import { until } from "../support/until.ts";
import { answer, c, failureOf, openAt } from "./grpc-fixture.ts";

setDefaultTimeout(30_000);

/** Back-off never lasts longer for a server that can't be reached. */
const longestBackoffMs = 60_000;

/** The call that `ask` makes is under way, and nobody answers: its time runs out. */
async function runOut(clock: FakeClock, asked: Promise<unknown>) {
  const failure = failureOf(asked);
  await clock.whenSleeping(1);
  await clock.advance(30_000);
  return failure;
}

describe("a server in a process of its own", () => {
  let server: ServerProcess;
  beforeAll(async () => {
    server = await startServer(tempDir(), {
      name: "gRPC registry",
      command: (port) => [process.execPath, "test/support/grpc-registry.ts", String(port), "v1.0.0"],
      ready: async (port) => {
        const socket = await Bun.connect({ hostname: "127.0.0.1", port, socket: { data() {} } });
        socket.end();
        return true;
      },
    });
  });
  afterAll(() => server[Symbol.asyncDispose]());

  test("that is paused lets the call time out, and is asked again when it goes on", async () => {
    const clock = new FakeClock();
    await using registry = openAt(`127.0.0.1:${server.port}?no-tls=true`, { clock });
    expect((await registry.latest(c)).release?.tag).toBe("v1.0.0");
    server.pause();
    try {
      expect(await runOut(clock, registry.latest(c))).toMatchObject({
        code: "network-timeout",
        message: `look for the current release: no answer from 127.0.0.1:${server.port} within 30s`,
      });
      await clock.advance(longestBackoffMs);
      // The kernel takes the connection though nobody is there.
      expect(await runOut(clock, registry.latest(c))).toMatchObject({ code: "network-timeout" });
    } finally {
      server.resume();
    }
    await clock.advance(longestBackoffMs);
    expect((await registry.latest(c)).release?.tag).toBe("v1.0.0");
  });

  test("that is killed in the middle of a call and started again is asked again", async () => {
    const clock = new FakeClock();
    await using registry = openAt(`127.0.0.1:${server.port}?no-tls=true`, { clock });
    await registry.latest(c);
    server.pause();
    const failure = failureOf(registry.latest(c));
    await clock.whenSleeping(1);
    await server.stop();
    expect(await failure).toMatchObject({ code: "network-unreachable" });
    await clock.advance(longestBackoffMs);
    const refused = await failureOf(registry.latest(c));
    expect(refused.message).toEndWith(`no connection to 127.0.0.1:${server.port} (ECONNREFUSED)`);
    await server.restart();
    await clock.advance(longestBackoffMs);
    expect((await registry.latest(c)).release?.tag).toBe("v1.0.0");
  });
});

describe("a server that can't be used", () => {
  test("is left alone between the polls that back-off admits, and costs few of them in an hour", async () => {
    let connections = 0;
    using closer = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        open(socket) {
          connections++;
          socket.end();
        },
        data() {},
      },
    });
    const clock = new FakeClock();
    await using registry = openAt(`127.0.0.1:${closer.port}?no-tls=true`, { clock });
    let asked = 0;
    for (let poll = 0; poll < 360; poll++) {
      const { code } = await failureOf(registry.latest(c));
      if (code !== "rate-limited") asked++;
      await clock.advance(10_000);
    }
    expect(asked).toBeLessThan(75);
    expect(connections).toBe(asked);
  });

  test("is asked again as soon as it may be, over a connection of its own", async () => {
    await using server = await GrpcRegistry.start();
    server.current = { answer };
    const clock = new FakeClock();
    await using registry = openAt(`${server.host}?no-tls=true`, { clock });
    await registry.latest(c);
    server.stop();
    const down = await failureOf(registry.latest(c));
    expect(down).toMatchObject({ code: "network-unreachable" });
    await server.restart();
    expect(await failureOf(registry.latest(c))).toMatchObject({ code: "rate-limited" });
    await clock.advance(down.retryAfterMs ?? 0);
    expect((await registry.latest(c)).release?.tag).toBe("v1.0.0");
  });

  test.each(["", "&no-tls=true"])("has its hanging connections closed (%s)", async (query) => {
    let open = 0;
    using silent = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        open: () => void open++,
        close: () => void open--,
        data() {},
      },
    });
    const clock = new FakeClock();
    await using registry = openAt(`127.0.0.1:${silent.port}?artifact=x${query}`, { clock });
    const failure = failureOf(registry.latest(c));
    await until("the connection is there", () => open === 1);
    await clock.advance(30_000);
    const what = query === "" ? "no connection to" : "no answer from";
    expect(await failure).toMatchObject({
      code: "network-timeout",
      message: `look for the current release: ${what} 127.0.0.1:${silent.port} within 30s`,
    });
    await until("it is closed", () => open === 0);
  });

  test("does not keep a registry that is closed from ending", async () => {
    await using server = await GrpcRegistry.start();
    server.current = { answer };
    const registry = openAt(`${server.host}?no-tls=true`);
    await registry.latest(c);
    server.current = { hang: true };
    const failure = failureOf(registry.latest(c));
    await until("the call has come", () => server.requests.length === 2);
    await registry[Symbol.asyncDispose]();
    expect(await failure).toMatchObject({ code: "stopped" });
    expect(server.requests).toHaveLength(2);
  });

  test("has a name that can't be resolved", async () => {
    // Too long for any resolver to ask about.
    const name = `${"a".repeat(64)}.invalid`;
    await using registry = openAt(`${name}:443`);
    expect(await failureOf(registry.latest(c))).toMatchObject({
      code: "network-unreachable",
      message: `look for the current release: the name ${name} can't be resolved`,
      hint: "check the name, and this host's DNS",
    });
  });

  test("says when it wants to be asked again, and is not asked before", async () => {
    await using server = await GrpcRegistry.start();
    server.current = { code: 8, details: "slow down", trailers: { "grpc-retry-pushback-ms": "7000" } };
    const clock = new FakeClock();
    await using registry = openAt(`${server.host}?no-tls=true`, { clock });
    expect(await failureOf(registry.latest(c))).toMatchObject({
      code: "rate-limited",
      retryAfterMs: 7000,
      message: `look for the current release: ${server.host} answered RESOURCE_EXHAUSTED (slow down)`,
    });
    server.current = { answer };
    await clock.advance(6999);
    expect(await failureOf(registry.latest(c))).toMatchObject({ code: "rate-limited" });
    expect(server.requests).toHaveLength(1);
    await clock.advance(1);
    expect((await registry.latest(c)).release?.tag).toBe("v1.0.0");
  });

  test("refuses this host, and is asked ever more seldom", async () => {
    await using server = await GrpcRegistry.start();
    server.current = { code: 16, details: "who are you" };
    await using registry = openAt(`${server.host}?no-tls=true`);
    expect(await failureOf(registry.latest(c))).toMatchObject({ code: "unauthorized", retryable: false });
    expect(await failureOf(registry.latest(c))).toMatchObject({ code: "rate-limited" });
    expect(server.requests).toHaveLength(1);
  });
});

describe("a connection that is", () => {
  let server: GrpcRegistry;
  let proxy: TcpProxy;
  beforeAll(async () => {
    server = await GrpcRegistry.start();
    server.current = {
      answer: { ...answer, artifactUrl: `https://files.example/${"a/".repeat(1000)}app.zip` },
    };
    proxy = await (await sharedToxiproxy()).proxyTo(server.host);
  });
  afterAll(async () => {
    await proxy[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });

  const harms: [string, () => Promise<void>, string][] = [
    [
      "reset in the middle of an answer",
      () => proxy.toxic("reset_peer", { timeout: 0 }),
      "network-unreachable",
    ],
    [
      "cut in the middle of an answer",
      () => proxy.toxic("limit_data", { bytes: 300 }),
      "network-unreachable",
    ],
    ["cut before the first byte", () => proxy.toxic("limit_data", { bytes: 0 }), "network-unreachable"],
    ["refused", () => proxy.disable(), "network-unreachable"],
    ["silent", () => proxy.toxic("timeout", { timeout: 0 }), "network-timeout"],
    ["deaf", () => proxy.toxic("timeout", { timeout: 0 }, "upstream"), "network-timeout"],
  ];
  const connections = ["kept", "new"] as const;
  const cases = harms.flatMap(([name, harm, code]) =>
    connections.map((kind): [string, string, () => Promise<void>, string] => [kind, name, harm, code]),
  );

  test.each(cases)("%s and %s ends the call, and the next one succeeds", async (kind, _, harm, code) => {
    const clock = new FakeClock();
    await using registry = openAt(`${proxy.address}?no-tls=true`, { clock });
    if (kind === "kept") await registry.latest(c);
    await harm();
    const asked = registry.latest(c);
    const failure = code === "network-timeout" ? runOut(clock, asked) : failureOf(asked);
    expect(await failure).toMatchObject({ code, retryable: true });
    await proxy.enable();
    await proxy.clear();
    await clock.advance(longestBackoffMs);
    expect((await registry.latest(c)).release?.tag).toBe("v1.0.0");
  });

  test.each<[string, () => Promise<void>]>([
    ["slow", () => proxy.toxic("latency", { latency: 50 })],
    ["narrow", () => proxy.toxic("bandwidth", { rate: 20 })],
    ["in small pieces", () => proxy.toxic("slicer", { average_size: 128, delay: 10 })],
  ])("%s carries the call", async (_, harm) => {
    await harm();
    await using registry = openAt(`${proxy.address}?no-tls=true`);
    expect((await registry.latest(c)).release?.tag).toBe("v1.0.0");
    await proxy.clear();
  });

  test("closed while nothing happens is replaced without anybody noticing", async () => {
    await using registry = openAt(`${proxy.address}?no-tls=true`);
    await registry.latest(c);
    server.peers.clear();
    await proxy.cut();
    await until("the connection is gone", () => connectionsTo(proxy.port) === 0);
    expect((await registry.latest(c)).release?.tag).toBe("v1.0.0");
    expect(server.peers.size).toBe(1);
  });
});

/** Established, or closed by the other side only. Columns of proc(5): local, remote, state. */
function connectionsTo(port: number): number {
  const remote = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const rows = readFileSync("/proc/self/net/tcp", "utf8").split("\n");
  return rows
    .map((row) => row.trim().split(/\s+/))
    .filter((row) => row[2]?.endsWith(remote) && ["01", "08"].includes(row[3] ?? "")).length;
}
