import { describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { connectPeer, startPeerServer, type TcpPeer } from "../support/tcp-peer.ts";
import { randomFrom, startProxy } from "../support/tcp-proxy.ts";
import { until } from "../support/until.ts";

const full = process.env["DEWY_FULL"] === "1";
const mebibyte = 2 ** 20;

function shaOf(chunks: readonly Uint8Array[]): string {
  const hash = new Bun.CryptoHasher("sha256");
  for (const chunk of chunks) hash.update(chunk);
  return hash.digest("hex");
}

/** Everything at once, in chunks of any size: the peers' own queues are under pressure too. */
function chunksOf(totalBytes: number, seed: number): Uint8Array[] {
  const random = randomFrom(seed);
  const pool = randomBytes(mebibyte);
  const chunks: Uint8Array[] = [];
  for (let left = totalBytes; left > 0; ) {
    const length = Math.min(left, 1 + Math.floor(random() ** 4 * mebibyte));
    const from = Math.floor(random() * (mebibyte - length));
    chunks.push(pool.subarray(from, from + length));
    left -= length;
  }
  return chunks;
}

describe("a stream", () => {
  test.each([1, 2, 3, 4])(
    "arrives byte for byte in both directions at once (seed %d)",
    async (seed) => {
      using backend = startPeerServer({ keepText: false });
      await using host = startProxy();
      host.admit("a", backend.port);
      const client = await connectPeer(host.port, { keepText: false });
      const server = await until("backend", () => backend.peers[0]);
      const up = chunksOf((full ? 256 : 24) * mebibyte, seed);
      const down = chunksOf((full ? 256 : 24) * mebibyte, seed + 100);
      for (const chunk of up) client.send(chunk);
      for (const chunk of down) server.send(chunk);
      client.finish();
      server.finish();
      await client.until("everything from the backend", ({ closed }) => closed, 60_000);
      await server.until("everything from the client", ({ closed }) => closed, 60_000);
      expect(server.digest).toBe(shaOf(up));
      expect(client.digest).toBe(shaOf(down));
      expect(host.proxy.stats().ports[0]).toMatchObject({
        bytesFromClients: server.received,
        bytesFromBackends: client.received,
      });
    },
    120_000,
  );

  test("of many small messages stays in order over a long time", async () => {
    using backend = startPeerServer({ onData: (peer, bytes) => peer.send(bytes) });
    await using host = startProxy();
    host.admit("a", backend.port);
    const client = await connectPeer(host.port);
    let sent = "";
    for (let turn = 0; turn < 500; turn++) {
      const message = `<${turn}>`;
      sent += message;
      client.send(message);
      if (turn % 10 === 0) await client.until(`echo of ${turn}`, ({ text }) => text === sent);
    }
    await client.until("the last echo", ({ text }) => text === sent);
    client.finish();
    await until("backend's FIN", () => backend.peers[0]?.ending === "fin");
  });

  test("that came before the backend was connected arrives whole, its FIN included", async () => {
    using backend = startPeerServer({ keepText: false });
    await using host = startProxy();
    const client = await connectPeer(host.port, { keepText: false });
    const early = chunksOf(8 * mebibyte, 7);
    for (const chunk of early) client.send(chunk);
    client.finish();
    await until("held", () => host.proxy.stats().ports[0]?.held === 1);
    expect(await settledBytes(() => client.unsent)).toBeGreaterThan(0);
    // Held clients cost what the kernel keeps for them, and nothing here.
    expect(host.proxy.stats().ports[0]?.bytesFromClients).toBe(0);
    host.admit("a", backend.port);
    const server = await until("backend", () => backend.peers[0]);
    await server.until("all", ({ ending }) => ending === "fin");
    expect(server.digest).toBe(shaOf(early));
    server.send("late answer");
    server.finish();
    await client.until("answer", ({ closed }) => closed);
    expect(client.received).toBe("late answer".length);
  });
});

describe("a reader that stalls", () => {
  test.each<["client" | "backend"]>([["client"], ["backend"]])(
    "as the %s holds the writer up instead of filling memory, and gets everything once it reads",
    async (stalled) => {
      const totalBytes = (full ? 2048 : 256) * mebibyte;
      using backend = startPeerServer({ keepText: false });
      await using host = startProxy();
      host.admit("a", backend.port);
      const client = await connectPeer(host.port, { keepText: false });
      const server = await until("backend", () => backend.peers[0]);
      const [reader, writer] = stalled === "client" ? [client, server] : [server, client];
      reader.pause();
      Bun.gc(true);
      const before = process.memoryUsage.rss();
      const chunk = randomBytes(mebibyte);
      // The same memory each time: what grows is the proxy's.
      for (let sent = 0; sent < totalBytes; sent += chunk.length) writer.send(chunk);
      const taken = await settledBytes(() => writer.unsent);
      expect(taken).toBeGreaterThan(totalBytes / 2);
      expect(process.memoryUsage.rss() - before).toBeLessThan(64 * mebibyte);
      writer.finish();
      reader.resume();
      await reader.until("everything", ({ ending }) => ending === "fin", 60_000);
      expect(reader.received).toBe(totalBytes);
    },
    120_000,
  );
});

describe("a half-closed connection", () => {
  const sides: ["client" | "backend"][] = [["client"], ["backend"]];

  async function pair(host: { port: number }, backend: { peers: TcpPeer[] }) {
    const client = await connectPeer(host.port);
    const server = await until("backend", () => backend.peers[0]);
    return { client, server };
  }

  test.each(sides)("by the %s still carries what the other side sends late", async (first) => {
    using backend = startPeerServer();
    await using host = startProxy();
    host.admit("a", backend.port);
    const { client, server } = await pair(host, backend);
    const [early, late] = first === "client" ? [client, server] : [server, client];
    early.send("question");
    early.finish();
    await late.until("FIN", ({ ending }) => ending === "fin");
    expect(late.text).toBe("question");
    for (const part of ["one ", "two ", "three"]) {
      late.send(part);
      await early.until(part, ({ text }) => text.endsWith(part));
    }
    expect(early.ending).toBe("open");
    late.finish();
    await early.until("end", ({ closed }) => closed);
    await late.until("end", ({ closed }) => closed);
    expect(early.text).toBe("one two three");
    expect([early.ending, late.ending]).toEqual(["closed", "fin"]);
    await until("no connection left", () => host.proxy.stats().connections === 0);
    expect(host.proxy.stats().ports[0]?.errors.reset).toBe(0);
  });

  test.each(sides)("by the %s that is then reset by it tells the other side", async (first) => {
    using backend = startPeerServer();
    await using host = startProxy();
    host.admit("a", backend.port);
    const { client, server } = await pair(host, backend);
    const [early, late] = first === "client" ? [client, server] : [server, client];
    early.finish();
    await late.until("FIN", ({ ending }) => ending === "fin");
    early.reset();
    await late.until("reset", ({ ending }) => ending === "reset");
  });

  test.each(sides)("ends the answer of a %s that read nothing until the end", async (stalled) => {
    using backend = startPeerServer({ keepText: false });
    await using host = startProxy();
    host.admit("a", backend.port);
    const client = await connectPeer(host.port, { keepText: false });
    const server = await until("backend", () => backend.peers[0]);
    const [reader, writer] = stalled === "client" ? [client, server] : [server, client];
    reader.pause();
    reader.finish();
    await writer.until("FIN", ({ ending }) => ending === "fin");
    const chunk = randomBytes(mebibyte);
    for (let count = 0; count < 24; count++) writer.send(chunk);
    writer.finish();
    await settledBytes(() => writer.unsent);
    reader.resume();
    await reader.until("all", ({ closed }) => closed);
    expect(reader.received).toBe(24 * mebibyte);
    expect(reader.ending).not.toBe("reset");
  });
});

describe("a reset", () => {
  test.each<["client" | "backend"]>([["client"], ["backend"]])(
    "by the %s reaches the other side after everything that came before it",
    async (first) => {
      using backend = startPeerServer();
      await using host = startProxy();
      host.admit("a", backend.port);
      const client = await connectPeer(host.port);
      const server = await until("backend", () => backend.peers[0]);
      const [early, late] = first === "client" ? [client, server] : [server, client];
      early.send("the last words");
      early.reset();
      await late.until("reset", ({ ending }) => ending === "reset");
      expect(late.text).toBe("the last words");
      await until("no connection left", () => host.proxy.stats().connections === 0);
      expect(host.proxy.stats().ports[0]?.errors.reset).toBe(1);
    },
  );

  test.each<["client" | "backend"]>([["client"], ["backend"]])(
    "by the %s that a write finds first is no clean end",
    async (first) => {
      using backend = startPeerServer();
      await using host = startProxy();
      host.admit("a", backend.port);
      const client = await connectPeer(host.port);
      const server = await until("backend", () => backend.peers[0]);
      const [early, late] = first === "client" ? [client, server] : [server, client];
      const reset = await inTheSameTurn(() => {
        early.send("last words");
        early.reset();
      });
      reset();
      late.send("to nobody");
      await late.until("reset", ({ closed }) => closed);
      expect([late.ending, late.text]).toEqual(["reset", "last words"]);
    },
  );

  test("by a client that is not being read is noticed by a write to it", async () => {
    using backend = startPeerServer({ keepText: false });
    await using host = startProxy({ timing: { flushMs: 50 } });
    host.admit("a", backend.port);
    const client = await connectPeer(host.port, { keepText: false });
    const server = await until("backend", () => backend.peers[0]);
    server.pause();
    client.send(new Uint8Array(16 * mebibyte));
    await settledBytes(() => client.unsent);
    const reset = await inTheSameTurn(() => client.reset());
    reset();
    server.send("to nobody");
    await until("no connection left", () => host.proxy.stats().connections === 0);
  });

  test("reaches a slow reader only after what is on its way to it", async () => {
    using backend = startPeerServer({ keepText: false });
    await using host = startProxy();
    host.admit("a", backend.port);
    const client = await connectPeer(host.port, { keepText: false });
    const server = await until("backend", () => backend.peers[0]);
    client.pause();
    const bytes = randomBytes(5 * mebibyte);
    server.send(bytes);
    await settledBytes(() => server.unsent);
    const passed = host.proxy.stats().ports[0]?.bytesFromBackends ?? 0;
    expect(passed).toBeGreaterThan(mebibyte);
    server.reset();
    await until("reset seen", () => host.proxy.stats().ports[0]?.errors.reset === 1);
    client.resume();
    await client.until("reset", ({ ending }) => ending === "reset");
    expect(client.received).toBeGreaterThanOrEqual(passed);
    expect(client.digest).toBe(shaOf([bytes.subarray(0, client.received)]));
  });

  test("of a reader that never reads is passed on after a while", async () => {
    using backend = startPeerServer({ keepText: false });
    await using host = startProxy({ timing: { flushMs: 100 } });
    host.admit("a", backend.port);
    const client = await connectPeer(host.port, { keepText: false });
    const server = await until("backend", () => backend.peers[0]);
    client.pause();
    server.send(randomBytes(16 * mebibyte));
    await settledBytes(() => server.unsent);
    server.reset();
    await until("no connection left", () => host.proxy.stats().connections === 0);
  });
});

/**
 * What is to happen once the loop has seen which sockets are ready, and before it serves the next of them: a trigger,
 * to be pulled before that one gets its bytes.
 */
async function inTheSameTurn(action: () => void): Promise<() => void> {
  const server = startPeerServer({ onData: action });
  const peer = await connectPeer(server.port);
  await until("accepted", () => server.peers.length === 1);
  return () => peer.send("now");
}

/** Waits until a number no longer changes. */
async function settledBytes(read: () => number): Promise<number> {
  let last = -1;
  let same = 0;
  await until("bytes to settle", () => {
    const now = read();
    same = now === last ? same + 1 : 0;
    last = now;
    return same >= 10;
  });
  return last;
}
