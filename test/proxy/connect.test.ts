import { describe, expect, test } from "bun:test";
import { freePort } from "../support/free-port.ts";
import { startBlackHole } from "../support/tcp-black-hole.ts";
import { connectPeer, type PeerServer, startPeerServer } from "../support/tcp-peer.ts";
import { behind, startProxy } from "../support/tcp-proxy.ts";
import { until } from "../support/until.ts";

/** Answers each connection with its name. */
function namedServer(name: string): PeerServer {
  return startPeerServer({ onOpen: (peer) => peer.send(name) });
}

/** Who answered; the connection is closed again. */
async function ask(port: number, host = "127.0.0.1"): Promise<string> {
  const client = await connectPeer(port, { host });
  await client.until("answer or end", ({ text, closed }) => text !== "" || closed);
  const { text } = client;
  client.close();
  return text;
}

describe("new connections", () => {
  test("go to each backend in turn, exactly", async () => {
    using a = namedServer("a");
    using b = namedServer("b");
    using c = namedServer("c");
    await using host = startProxy();
    for (const [name, { port }] of Object.entries({ a, b, c })) host.admit(name, port);
    let order = "";
    for (let count = 0; count < 30; count++) order += await ask(host.port);
    expect(order).toBe("abc".repeat(10));
    host.proxy.retire("a");
    order = "";
    for (let count = 0; count < 10; count++) order += await ask(host.port);
    expect(["bc".repeat(5), "cb".repeat(5)]).toContain(order);
  });

  test("pass over a backend that refuses, without failing, and come back when it is well", async () => {
    using good = namedServer("good");
    const port = freePort();
    await using host = startProxy();
    host.admit("bad", port);
    host.admit("good", good.port);
    for (let count = 0; count < 20; count++) expect(await ask(host.port)).toBe("good");
    const failures = () => host.proxy.stats().ports[0]?.errors["connect-refused"] ?? 0;
    expect(failures()).toBeGreaterThan(0);
    // Passed over for a moment: not each second connection pays for it.
    expect(failures()).toBeLessThan(5);
    using _bad = startPeerServer({ port, onOpen: (peer) => peer.send("bad") });
    await until("it gets connections again", async () => (await ask(host.port)) === "bad");
    const two = [await ask(host.port), await ask(host.port)];
    expect(two.sort()).toEqual(["bad", "good"]);
  });

  test("try every backend even when all failed lately", async () => {
    const ports = [freePort(), freePort()];
    await using host = startProxy();
    host.admit("a", ports[0] ?? 0);
    host.admit("b", ports[1] ?? 0);
    for (let count = 0; count < 5; count++) expect(await ask(host.port)).toBe("");
    using _back = startPeerServer({ port: ports[1] ?? 0, onOpen: (peer) => peer.send("b") });
    expect(await ask(host.port)).toBe("b");
  });

  test("use the fallback address of a replica whose first one refuses", async () => {
    using backend = namedServer("fallback");
    await using host = startProxy();
    host.admit("a", freePort(), backend.port);
    for (let count = 0; count < 10; count++) expect(await ask(host.port)).toBe("fallback");
    expect(host.proxy.stats().ports[0]?.errors).toMatchObject({ unserved: 0 });
    expect(host.proxy.stats().ports[0]?.errors["connect-refused"]).toBeLessThan(4);
  });

  test("use the fallback address of a replica whose first one does not answer", async () => {
    using silent = startBlackHole();
    using backend = namedServer("fallback");
    await using host = startProxy({ timing: { connectMs: 100 } });
    host.admit("a", silent.port, backend.port);
    const client = await connectPeer(host.port);
    client.send("early ");
    client.send("bytes");
    client.finish();
    await client.until("answer", ({ text }) => text === "fallback");
    await until("what was sent before", () => backend.peers[0]?.text === "early bytes");
    await until("its FIN", () => backend.peers[0]?.ending === "fin");
    expect(host.proxy.stats().ports[0]?.errors["connect-timeout"]).toBe(1);
  });

  test("that are half-closed before the backend is connected reach it half-closed", async () => {
    using silent = startBlackHole();
    using backend = startPeerServer();
    await using host = startProxy({ timing: { connectMs: 100 } });
    host.admit("a", silent.port, backend.port);
    const client = await connectPeer(host.port);
    client.finish();
    await until("its FIN", () => backend.peers[0]?.ending === "fin");
    backend.peers[0]?.send("answer");
    await client.until("answer", ({ text }) => text === "answer");
    client.reset();
  });

  test("are reset when every backend was tried once", async () => {
    using silent = startBlackHole();
    await using host = startProxy({ timing: { connectMs: 50 } });
    host.admit("a", freePort(), freePort());
    host.admit("b", silent.port);
    const client = await connectPeer(host.port);
    await client.until("end", ({ ending }) => ending === "reset");
    expect(host.proxy.stats().ports[0]?.errors).toMatchObject({
      "connect-refused": 2,
      "connect-timeout": 1,
      unserved: 1,
    });
    expect(host.proxy.connections("a") + host.proxy.connections("b")).toBe(0);
  });

  test("to a backend that accepts and closes see just that", async () => {
    using backend = startPeerServer({ onOpen: (peer) => peer.close() });
    await using host = startProxy();
    host.admit("a", backend.port);
    const client = await connectPeer(host.port);
    await client.until("FIN", ({ ending }) => ending === "fin");
    client.finish();
    await until("no connection left", () => host.proxy.stats().connections === 0);
  });

  test("whose client is gone before the backend answers leave nothing behind", async () => {
    using silent = startBlackHole();
    await using host = startProxy({ timing: { connectMs: 60_000 } });
    host.admit("a", silent.port);
    const client = await connectPeer(host.port);
    client.send("hello");
    await until("attempt", () => host.proxy.connections("a") === 1);
    client.reset();
    await host.proxy.drained("a", { signal: AbortSignal.timeout(40_000) });
    expect(host.proxy.stats().connections).toBe(0);
    // The late answer finds nobody, and the backend is told.
    const late = await silent.answer();
    await late.until("reset", ({ closed }) => closed);
    expect(late.text).toBe("");
  });
});

test("an observer is told of connects and ends by port", async () => {
  const told: string[] = [];
  const observer = {
    connected: (port: number, latencyMs: number) => void told.push(`connected ${port} ${latencyMs < 1_000}`),
    closed: (port: number, durationMs: number) => void told.push(`closed ${port} ${durationMs >= 0}`),
  };
  using backend = namedServer("a");
  await using host = startProxy({ observer });
  host.admit("bad", freePort());
  host.admit("a", backend.port);
  const client = await connectPeer(host.port);
  await client.until("answer", ({ text }) => text === "a");
  client.reset();
  await until("closed", () => host.proxy.stats().connections === 0);
  const { port } = host;
  expect(told).toEqual([`connected ${port} true`, `closed ${port} true`]);
});

describe("clients that come while there is no backend", () => {
  test("are held and served once there is one", async () => {
    using backend = namedServer("late");
    await using host = startProxy();
    const answers = Promise.all(Array.from({ length: 20 }, () => ask(host.port)));
    await until("held", () => host.proxy.stats().ports[0]?.held === 20);
    host.admit("a", backend.port);
    expect(new Set(await answers)).toEqual(new Set(["late"]));
    expect(host.proxy.stats().ports[0]).toMatchObject({ held: 0, errors: { "no-backend": 0 } });
  });

  test("are reset after a while", async () => {
    await using host = startProxy({ timing: { holdMs: 50 } });
    const client = await connectPeer(host.port);
    await client.until("end", ({ ending }) => ending === "reset");
    expect(host.proxy.stats().ports[0]?.errors["no-backend"]).toBe(1);
  });

  test("and leave again are forgotten", async () => {
    using backend = namedServer("late");
    await using host = startProxy();
    const client = await connectPeer(host.port);
    await until("held", () => host.proxy.stats().ports[0]?.held === 1);
    client.reset();
    await until("forgotten", () => host.proxy.stats().connections === 0);
    host.admit("a", backend.port);
    expect(await ask(host.port)).toBe("late");
    expect(backend.peers).toHaveLength(1);
  });

  test("wait in a bounded number", async () => {
    await using host = startProxy();
    // One that is refused may see it in its connect already.
    const connects = Array.from({ length: 1_100 }, () => connectPeer(host.port).catch(() => null));
    const clients = await Promise.all(connects);
    await until("refused", () => (host.proxy.stats().ports[0]?.errors["no-backend"] ?? 0) === 1_100 - 1_024);
    expect(host.proxy.stats().ports[0]?.held).toBe(1_024);
    for (const client of clients) client?.reset();
  });
});

describe("IPv6", () => {
  test("and IPv4 reach a port without a host; backends may have either", async () => {
    using six = startPeerServer({ host: "::1", onOpen: (peer) => peer.send("six") });
    using four = namedServer("four");
    const port = freePort();
    await using host = startProxy({ listen: [{ host: null, port }] });
    host.proxy.admit("a", behind(port, { host: "::1", port: six.port }));
    host.proxy.admit("b", behind(port, four.port));
    expect(await ask(port, "::1")).toBe("six");
    expect(await ask(port, "127.0.0.1")).toBe("four");
  });
});
