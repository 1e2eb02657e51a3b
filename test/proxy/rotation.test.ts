import { describe, expect, test } from "bun:test";
import { records } from "../../src/events.ts";
import type { ReplicaRotation } from "../../src/proxy/rotation.ts";
import type { TcpProxy } from "../../src/proxy/tcp-proxy.ts";
import type { Rotation } from "../../src/replicas/rotation.ts";
import { freePort } from "../support/free-port.ts";
import { startLoad } from "../support/load.ts";
import { recordingLog } from "../support/recording.ts";
import { startBlackHole } from "../support/tcp-black-hole.ts";
import { connectPeer, startPeerServer } from "../support/tcp-peer.ts";
import { behind, startProxy } from "../support/tcp-proxy.ts";
import { until } from "../support/until.ts";

type Extends<A, B> = A extends B ? true : false;
const proxyIsRotation: Extends<TcpProxy, Rotation> = true;
const sameWords: Extends<ReplicaRotation, Rotation> & Extends<Rotation, ReplicaRotation> = true;

const soon = () => ({ signal: AbortSignal.timeout(40_000) });
const echo = () => startPeerServer({ onData: (peer, bytes) => peer.send(bytes) });

async function settlesWithin(promise: Promise<unknown>, ms: number): Promise<boolean> {
  return Promise.race([promise.then(() => true), Bun.sleep(ms).then(() => false)]);
}

test("the proxy is what a rolling update asks for", () => {
  expect([proxyIsRotation, sameWords]).toEqual([true, true]);
});

describe("a retired replica", () => {
  test("keeps its connections, gets no new ones, and is drained when the last one ends", async () => {
    using a = echo();
    using b = echo();
    await using host = startProxy();
    host.admit("a", a.port);
    const client = await connectPeer(host.port);
    await until("connected", () => a.peers.length === 1);
    host.admit("b", b.port);
    host.proxy.retire("a");
    expect(host.proxy.members).toEqual(["b"]);
    const others = await Promise.all([1, 2, 3].map(() => connectPeer(host.port)));
    await until("others at b", () => b.peers.length === 3);
    const drained = host.proxy.drained("a", soon());
    client.send("still here");
    await client.until("echo", ({ text }) => text === "still here");
    expect(await settlesWithin(drained, 30)).toBe(false);
    expect(host.proxy.connections("a")).toBe(1);
    client.finish();
    a.peers[0]?.finish();
    await drained;
    expect(host.proxy.connections("a")).toBe(0);
    expect(host.proxy.drop("a")).toBe(0);
    for (const other of others) other.reset();
  });

  test("keeps a websocket for as long as it wants to talk", async () => {
    const echoBack = (socket: Bun.ServerWebSocket<undefined>, message: string | Buffer) =>
      void socket.send(message);
    const server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: (request, self) => (self.upgrade(request) ? undefined : new Response("no websocket")),
      websocket: { message: echoBack },
    });
    await using host = startProxy();
    host.admit("a", server.port ?? 0);
    const socket = new WebSocket(`ws://127.0.0.1:${host.port}/`);
    const answers: string[] = [];
    socket.onmessage = ({ data }) => void answers.push(String(data));
    await until("open", () => socket.readyState === WebSocket.OPEN);
    host.proxy.retire("a");
    const drained = host.proxy.drained("a", soon());
    const messages = Array.from({ length: 200 }, (_, index) => `${index} `.padEnd(1 + index * 50, "."));
    for (const message of messages) socket.send(message);
    await until("all echoes", () => answers.length === messages.length);
    expect(answers).toEqual(messages);
    socket.close();
    await drained;
    await server.stop(true);
  });

  test("counts an attempt that began before, which may complete", async () => {
    using slow = startBlackHole();
    await using host = startProxy({ timing: { connectMs: 30_000 } });
    host.admit("old", slow.port);
    const client = await connectPeer(host.port);
    client.send("hello");
    await until("attempt", () => host.proxy.connections("old") === 1);
    host.proxy.retire("old");
    expect(host.proxy.connections("old")).toBe(1);
    const served = await slow.answer();
    served.send("served");
    await client.until("answer", ({ text }) => text === "served");
    client.finish();
    served.finish();
    await host.proxy.drained("old", soon());
  });

  test("is waited for no longer than the caller wants", async () => {
    using a = echo();
    await using host = startProxy();
    host.admit("a", a.port);
    const client = await connectPeer(host.port);
    await until("connected", () => a.peers.length === 1);
    const impatient = host.proxy.drained("a", { signal: AbortSignal.timeout(20) });
    await expect(impatient).rejects.toThrow();
    client.reset();
    await host.proxy.drained("a", soon());
  });

  test("can be admitted again, at the same or another address", async () => {
    using first = startPeerServer({ onOpen: (peer) => peer.send("first") });
    using second = startPeerServer({ onOpen: (peer) => peer.send("second") });
    await using host = startProxy();
    host.admit("a", first.port);
    const early = await connectPeer(host.port);
    await early.until("answer", ({ text }) => text === "first");
    host.proxy.retire("a");
    host.admit("a", second.port);
    expect(host.proxy.members).toEqual(["a"]);
    const late = await connectPeer(host.port);
    await late.until("answer", ({ text }) => text === "second");
    first.peers[0]?.send(" and still");
    await early.until("more", ({ text }) => text === "first and still");
    expect(host.proxy.connections("a")).toBe(2);
    for (const client of [early, late]) client.reset();
    await host.proxy.drained("a", soon());
  });
});

describe("a dropped replica", () => {
  test("loses what it has left, which is counted", async () => {
    using a = echo();
    using b = echo();
    await using host = startProxy();
    host.admit("a", a.port);
    const clients = await Promise.all([1, 2, 3].map(() => connectPeer(host.port)));
    await until("connected", () => a.peers.length === 3);
    host.admit("b", b.port);
    host.proxy.retire("a");
    expect(host.proxy.drop("a")).toBe(3);
    for (const client of clients) await client.until("reset", ({ ending }) => ending === "reset");
    for (const peer of a.peers) await peer.until("reset", ({ closed }) => closed);
    expect(host.proxy.connections("a")).toBe(0);
    expect(host.proxy.stats().ports[0]?.errors.cut).toBe(3);
    expect(host.proxy.drop("a")).toBe(0);
  });

  test("passes clients on that were only trying to reach it", async () => {
    using slow = startBlackHole();
    using b = startPeerServer({ onOpen: (peer) => peer.send("b") });
    await using host = startProxy({ timing: { connectMs: 30_000 } });
    host.admit("a", slow.port);
    const client = await connectPeer(host.port);
    client.send("hello");
    await until("attempt", () => host.proxy.connections("a") === 1);
    host.admit("b", b.port);
    expect(host.proxy.drop("a")).toBe(0);
    await client.until("answer", ({ text }) => text === "b");
    await until("what was sent before", () => b.peers[0]?.text === "hello");
    const late = await slow.answer();
    await late.until("closed", ({ closed }) => closed);
    client.reset();
  });

  test("in the middle of a large answer leaves no half of it for a whole one", async () => {
    using a = startPeerServer({ keepText: false });
    await using host = startProxy();
    host.admit("a", a.port);
    const client = await connectPeer(host.port, { keepText: false });
    const server = await until("backend", () => a.peers[0]);
    client.pause();
    server.send(new Uint8Array(16 * 2 ** 20));
    await until("under way", () => (host.proxy.stats().ports[0]?.bytesFromBackends ?? 0) > 0);
    expect(host.proxy.drop("a")).toBe(1);
    client.resume();
    await client.until("end", ({ closed }) => closed);
    expect(client.ending).toBe("reset");
  });
});

describe("several ports", () => {
  test("have replicas of their own, drained together", async () => {
    using web = echo();
    using admin = echo();
    const ports = [freePort(), freePort()] as const;
    await using host = startProxy({ listen: ports.map((port) => ({ host: "127.0.0.1", port })) });
    const at = (port: number) => [{ host: "127.0.0.1", port }];
    host.proxy.admit(
      "a",
      new Map([
        [ports[0], at(web.port)],
        [ports[1], at(admin.port)],
      ]),
    );
    const clients = await Promise.all(ports.map((port) => connectPeer(port)));
    await until("both", () => web.peers.length === 1 && admin.peers.length === 1);
    expect(host.proxy.connections("a")).toBe(2);
    host.proxy.retire("a");
    const drained = host.proxy.drained("a", soon());
    clients[0]?.reset();
    expect(await settlesWithin(drained, 30)).toBe(false);
    clients[1]?.reset();
    await drained;
  });
});

test("20 swaps under load lose no request", async () => {
  await using host = startProxy();
  const serve = (name: string) =>
    Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: () => new Response(`${name} `.padEnd(2_000, "x"), { headers: { connection: "close" } }),
    });
  let old = [0, 1, 2].map((index) => ({ name: `0-${index}`, server: serve(`0-${index}`) }));
  for (const { name, server } of old) host.admit(name, server.port ?? 0);
  const load = startLoad(host.port, { kept: 0, fresh: 8 });
  const waits: Promise<unknown>[] = [];
  for (let swap = 1; swap <= 20; swap++) {
    const next = old.map((_, index) => ({ name: `${swap}-${index}`, server: serve(`${swap}-${index}`) }));
    for (const { name, server } of next) host.admit(name, server.port ?? 0);
    for (const { name, server } of old) {
      host.proxy.retire(name);
      waits.push(
        host.proxy.drained(name, soon()).then(async () => {
          expect(host.proxy.drop(name)).toBe(0);
          await server.stop(true);
        }),
      );
    }
    old = next;
    await until("the new ones answer", () =>
      host.proxy
        .stats()
        .ports[0]?.backends.some(
          ({ replica, connectionsTotal }) => replica === `${swap}-0` && connectionsTotal > 3,
        ),
    );
  }
  await Promise.all(waits);
  const { failures, requests, answers } = await load.stop();
  expect(failures).toEqual([]);
  expect(requests).toBeGreaterThan(200);
  expect(answers.size).toBeGreaterThan(20);
  expect(host.proxy.members).toHaveLength(3);
  for (const { server } of old) await server.stop(true);
}, 60_000);

test("changes of the rotation are logged under their names", async () => {
  const log = recordingLog();
  const port = freePort();
  await using host = startProxy({ log, listen: [{ host: "127.0.0.1", port }] });
  const to = (backend: number) => behind(port, backend);
  host.proxy.admit("a", to(4001));
  host.proxy.admit("a", to(4001));
  host.proxy.admit("a", to(4002));
  host.proxy.retire("a");
  host.proxy.retire("a");
  host.proxy.drop("a");
  await host.proxy.close(0, soon());
  const external = { external_port: port };
  const backend = (at: number) => ({ proxy_port: port, backend: `127.0.0.1:${at}` });
  expect(log.records.map(({ level, message, attributes }) => [level, message, attributes])).toEqual([
    ["info", records.proxyStarting, { port }],
    ["debug", records.proxyStarted, { proxy_port: port }],
    ["info", records.reverseProxyStarted, external],
    ["debug", records.proxiesStarted, { count: 1 }],
    ["debug", records.backendAdded, backend(4001)],
    ["info", records.backendUpdated, backend(4001)],
    ["info", records.backendUpdated, backend(4002)],
    ["debug", records.backendRemoved, backend(4002)],
    ["info", records.proxyStopping, {}],
  ]);
});
