import { describe, expect, test } from "bun:test";
import { capacityFor } from "../../src/proxy/capacity.ts";
import { FakeClock } from "../support/clock.ts";
import { freePort } from "../support/free-port.ts";
import { connectPeer, startPeerServer } from "../support/tcp-peer.ts";
import { behind, startProxy } from "../support/tcp-proxy.ts";
import { startProxyChild } from "../support/tcp-proxy-child.ts";
import { until } from "../support/until.ts";

describe("as many connections as", () => {
  test.each<[number | null, number | null, number]>([
    [null, 1_048_576, 524_160],
    [null, 1_024, 384],
    [null, 256, 96],
    [null, 64, 24],
    [null, null, 4_992],
    [50, 1_024, 50],
    [384, 1_024, 384],
  ])("%p asked for of %p descriptors: %d", (requested, limit, most) => {
    expect(capacityFor(requested, limit).maxConnections).toBe(most);
  });

  test("do not fit are refused by name, with what would fit", () => {
    const refused = () => capacityFor(385, 1_024);
    expect(refused).toThrow("--max-connections 385: this process may have 1024 descriptors");
    expect(refused).toThrow(expect.objectContaining({ code: "config-invalid" }));
  });
});

describe("at its limit the proxy", () => {
  test("leaves clients in the kernel's backlog, at no cost, and serves them all in the end", async () => {
    using backend = startPeerServer({ onData: (peer, bytes) => peer.send(bytes) });
    await using child = await startProxyChild({ backend: backend.port, maxConnections: 50 });
    const clients = await Promise.all(Array.from({ length: 200 }, () => connectPeer(child.port)));
    for (const client of clients) client.send("hello");
    await until("the first fifty", () => clients.filter(({ text }) => text !== "").length === 50);
    const before = await child.state();
    expect(before).toMatchObject({ connections: 50, accepting: false });
    await Bun.sleep(500);
    const after = await child.state();
    expect(after.cpuMs - before.cpuMs).toBeLessThan(50);
    expect(after.connections).toBe(50);
    const waiting = new Set(clients);
    let most = 0;
    await until("all are served", async () => {
      for (const client of waiting) {
        if (client.text !== "hello") continue;
        waiting.delete(client);
        client.reset();
      }
      most = Math.max(most, backend.peers.filter(({ closed }) => !closed).length);
      return waiting.size === 0;
    });
    expect(most).toBeLessThanOrEqual(50);
    expect(clients.every(({ text }) => text === "hello")).toBe(true);
    await until("accepting again", async () => (await child.state()).accepting);
  });

  test("counts the connections of all ports together", async () => {
    using backend = startPeerServer();
    const ports = [freePort(), freePort()];
    const listen = ports.map((port) => ({ host: "127.0.0.1", port }));
    await using host = startProxy({ listen, maxConnections: 10 });
    for (const port of ports) host.proxy.admit(`on ${port}`, behind(port, backend.port));
    const connects = Array.from({ length: 60 }, (_, index) => connectPeer(ports[index % 2] ?? 0));
    const clients = await Promise.all(connects);
    await until("full", () => backend.peers.length >= 10);
    expect(host.proxy.stats()).toMatchObject({ connections: 10, accepting: false });
    const served = () => clients.filter(({ closed }) => !closed).length;
    for (let count = 60; count > 0; ) {
      for (const peer of backend.peers) if (!peer.closed) peer.reset();
      expect(host.proxy.stats().connections).toBeLessThanOrEqual(10);
      await Bun.sleep(5);
      count = served();
    }
    expect(backend.peers).toHaveLength(60);
  });

  test("of descriptors pauses before they run out, and loses nobody", async () => {
    using backend = startPeerServer({ onData: (peer, bytes) => peer.send(bytes) });
    await using child = await startProxyChild({ backend: backend.port, descriptors: 128 });
    const clients = await Promise.all(Array.from({ length: 300 }, () => connectPeer(child.port)));
    for (const client of clients) client.send("hello");
    await until("as many as fit", async () => (await child.state()).connections === 48);
    const before = await child.state();
    await Bun.sleep(300);
    expect((await child.state()).cpuMs - before.cpuMs).toBeLessThan(50);
    const waiting = new Set(clients);
    await until("all are served", () => {
      for (const client of waiting) {
        if (client.text !== "hello") continue;
        waiting.delete(client);
        client.reset();
      }
      return waiting.size === 0;
    });
    const { ports } = await child.state();
    expect(ports[0]?.errors).toMatchObject({ unserved: 0, "connect-failed": 0, "connect-refused": 0 });
  });

  test("rests while somebody else in the process uses its descriptors up, and goes on when they are free", async () => {
    using backend = startPeerServer({ onData: (peer, bytes) => peer.send(bytes) });
    await using child = await startProxyChild({ backend: backend.port, descriptors: 128 });
    await child.state("hog 90");
    const clients = await Promise.all(Array.from({ length: 40 }, () => connectPeer(child.port)));
    for (const client of clients) client.send("hello");
    const resting = await until("resting", async () => {
      const state = await child.state();
      return state.accepting ? null : state;
    });
    expect(resting.connections).toBeLessThan(30);
    await Bun.sleep(300);
    expect((await child.state()).cpuMs - resting.cpuMs).toBeLessThan(50);
    expect(clients.some(({ text }) => text === "")).toBe(true);
    await child.state("free");
    await until("all are served", () => clients.every(({ text }) => text === "hello"));
    for (const client of clients) client.reset();
  });
});

describe("an idle connection", () => {
  async function open(clock: FakeClock, idleMs: number) {
    const backend = startPeerServer();
    const host = startProxy({ clock, timing: { idleMs } });
    host.admit("a", backend.port);
    const client = await connectPeer(host.port);
    const server = await until("backend", () => backend.peers[0]);
    return {
      host,
      client,
      server,
      async [Symbol.asyncDispose]() {
        await host[Symbol.asyncDispose]();
        backend.stop();
      },
    };
  }

  test("is closed on both sides after the idle time, not before", async () => {
    const clock = new FakeClock();
    await using at = await open(clock, 300_000);
    await clock.advance(299_000);
    expect(at.host.proxy.stats().connections).toBe(1);
    await clock.advance(17_000);
    await at.client.until("FIN", ({ ending }) => ending === "fin");
    await at.server.until("FIN", ({ ending }) => ending === "fin");
    expect(at.host.proxy.stats()).toMatchObject({ connections: 0, ports: [{ errors: { cut: 0 } }] });
    expect(at.host.proxy.connections("a")).toBe(0);
  });

  test.each<["client" | "server"]>([["client"], ["server"]])(
    "is kept by bytes from the %s alone, half-closed or not",
    async (active) => {
      const clock = new FakeClock();
      await using at = await open(clock, 60_000);
      const [speaker, listener] = active === "client" ? [at.client, at.server] : [at.server, at.client];
      listener.finish();
      await speaker.until("FIN", ({ ending }) => ending === "fin");
      for (let turn = 1; turn <= 5; turn++) {
        await clock.advance(50_000);
        speaker.send(".");
        await listener.until("byte", ({ received }) => received === turn);
      }
      expect(at.host.proxy.stats().connections).toBe(1);
      await clock.advance(70_000);
      await speaker.until("closed", ({ closed }) => closed);
    },
  );

  test("is kept for ever when the idle time is 0", async () => {
    const clock = new FakeClock();
    await using at = await open(clock, 0);
    await clock.advance(86_400_000);
    expect(at.host.proxy.stats().connections).toBe(1);
    expect(clock.sleeping).toBeLessThanOrEqual(1);
  });
});
