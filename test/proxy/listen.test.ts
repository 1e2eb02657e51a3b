import { describe, expect, test } from "bun:test";
import { fstatSync, readdirSync } from "node:fs";
import { DewyError } from "../../src/errors.ts";
import { silentLog } from "../../src/log.ts";
import type { ProxyListen } from "../../src/proxy/options.ts";
import { TcpProxy } from "../../src/proxy/tcp-proxy.ts";
import { systemClock } from "../../src/util/time.ts";
import { freePort } from "../support/free-port.ts";
import { connectPeer, startPeerServer } from "../support/tcp-peer.ts";
import { behind, startProxy } from "../support/tcp-proxy.ts";
import { until } from "../support/until.ts";

function failureOf(listen: readonly ProxyListen[]): DewyError {
  try {
    void TcpProxy.open({ listen, log: silentLog, clock: systemClock }).close(0, {
      signal: AbortSignal.timeout(100),
    });
  } catch (error) {
    if (error instanceof DewyError) return error;
    throw error;
  }
  throw new Error("it was opened");
}

function reaches(port: number, host: string): Promise<boolean> {
  return connectPeer(port, { host }).then(
    (peer) => {
      peer.reset();
      return true;
    },
    () => false,
  );
}

describe("a port", () => {
  test.each<[string | null, string, boolean]>([
    [null, "127.0.0.1", true],
    [null, "::1", true],
    ["127.0.0.1", "127.0.0.1", true],
    ["127.0.0.1", "::1", false],
    ["127.0.0.1", "127.0.0.2", false],
    ["0.0.0.0", "127.0.0.2", true],
    ["0.0.0.0", "::1", false],
    ["::1", "::1", true],
    ["::1", "127.0.0.1", false],
    ["::", "::1", true],
    ["::", "127.0.0.1", false],
  ])("on host %p, from %s: %p", async (host, from, reached) => {
    await using at = startProxy({ listen: [{ host, port: freePort() }] });
    expect(await reaches(at.port, from)).toBe(reached);
  });

  test("on two addresses is one port", async () => {
    const port = freePort();
    await using host = startProxy({ listen: ["127.0.0.1", "::1"].map((host) => ({ host, port })) });
    expect([await reaches(port, "127.0.0.1"), await reaches(port, "::1")]).toEqual([true, true]);
    expect(host.proxy.stats().ports).toMatchObject([{ port, connectionsTotal: 2 }]);
  });

  test("in use is named, with who has it", () => {
    using other = startPeerServer();
    const error = failureOf([{ host: "127.0.0.1", port: other.port }]);
    expect(error).toMatchObject({ code: "port-in-use" });
    expect(error.message).toStartWith(`port 127.0.0.1:${other.port} is in use by pid ${process.pid} (`);
  });

  test("in use on one address of all is in use", () => {
    using other = startPeerServer();
    expect(failureOf([{ host: null, port: other.port }])).toMatchObject({ code: "port-in-use" });
  });

  test("in use leaves the others unopened", async () => {
    using other = startPeerServer();
    const free = freePort();
    failureOf([
      { host: "127.0.0.1", port: free },
      { host: "127.0.0.1", port: other.port },
    ]);
    expect(await reaches(free, "127.0.0.1")).toBe(false);
  });

  test("on an address this host does not have is a configuration error", () => {
    const error = failureOf([{ host: "192.0.2.1", port: freePort() }]);
    expect(error).toMatchObject({ code: "config-invalid" });
    expect(error.message).toContain("192.0.2.1");
  });

  test("has a descriptor that a successor can be given", async () => {
    await using host = startProxy();
    const [listener] = host.proxy.listeners;
    expect(fstatSync(listener?.fd ?? -1).isSocket()).toBe(true);
    expect(listener?.listen.port).toBe(host.port);
  });
});

describe("closing", () => {
  test("stops listening at once and gives connections time to end", async () => {
    using backend = startPeerServer({ onData: (peer, bytes) => peer.send(bytes) });
    await using host = startProxy();
    host.admit("a", backend.port);
    const client = await connectPeer(host.port);
    await until("connected", () => backend.peers.length === 1);
    const closed = host.proxy.close(40_000, { signal: AbortSignal.timeout(40_000) });
    expect(await reaches(host.port, "127.0.0.1")).toBe(false);
    client.send("last");
    await client.until("echo", ({ text }) => text === "last");
    client.finish();
    backend.peers[0]?.finish();
    expect(await closed).toBe(0);
  });

  test.each<[string, number, () => AbortSignal]>([
    ["the grace is over", 30, () => AbortSignal.timeout(10_000)],
    ["the caller wants no more of it", 10_000, () => AbortSignal.timeout(30)],
  ])("cuts what is left when %s", async (_, graceMs, signal) => {
    using backend = startPeerServer();
    await using host = startProxy();
    host.admit("a", backend.port);
    const client = await connectPeer(host.port);
    await until("connected", () => backend.peers.length === 1);
    expect(await host.proxy.close(graceMs, { signal: signal() })).toBe(1);
    await client.until("reset", ({ ending }) => ending === "reset");
    expect(host.proxy.stats().connections).toBe(0);
  });

  test("gives back every descriptor", async () => {
    using backend = startPeerServer();
    const listen = [{ host: "127.0.0.1", port: freePort() }];
    const before = openDescriptors();
    const host = startProxy({ listen });
    host.proxy.admit("a", behind(host.port, backend.port));
    const client = await connectPeer(host.port);
    await until("connected", () => backend.peers.length === 1);
    await host[Symbol.asyncDispose]();
    await client.until("end", ({ closed }) => closed);
    await until("closed", () => backend.peers[0]?.closed);
    await until("as many as before", () => openDescriptors() <= before);
  });
});

function openDescriptors(): number {
  return readdirSync("/proc/self/fd").length;
}
