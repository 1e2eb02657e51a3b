import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { PrivatePorts, privateRanges } from "../../src/process-engine/private-ports.ts";

describe("private ports lie", () => {
  test.each<[string, [number, number], [number, number][]]>([
    [
      "below and above Linux's usual range",
      [32_768, 60_999],
      [
        [10_000, 32_767],
        [61_000, 65_535],
      ],
    ],
    ["below a range that ends at the end", [49_152, 65_535], [[10_000, 49_151]]],
    ["above one that begins low", [1024, 50_000], [[50_001, 65_535]]],
    ["anywhere when the range leaves too few", [1024, 65_000], [[10_000, 65_535]]],
  ])("%s", (_, [first, last], ranges) => {
    expect(privateRanges({ first, last }).map((range) => [range.first, range.last])).toEqual(ranges);
  });
});

describe("a private port", () => {
  test("is none that this host's own connections come from", async () => {
    const [low = 0, high = 0] = readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "utf8")
      .split("\t")
      .map(Number);
    const port = await new PrivatePorts(new Set()).take(new Set());
    expect(port < low || port > high).toBe(true);
  });

  test("rests after it was given", async () => {
    const ports = new PrivatePorts(new Set(), 0.2);
    const first = await ports.take(new Set());
    expect(await ports.take(new Set())).toBeGreaterThan(first);
  });

  test("is no one's already: not another process's, not the proxy's, not taken by whoever listens", async () => {
    const start = 0.4;
    const found: number[] = [];
    for (let each = 0; each < 4; each++) {
      found.push(await new PrivatePorts(new Set(found), start).take(new Set()));
    }
    const [first, second, third, fourth] = found;
    using _ = Bun.serve({ hostname: "127.0.0.1", port: first ?? 0, fetch: () => new Response() });
    const ports = new PrivatePorts(new Set([second ?? 0]), start);
    expect(await ports.take(new Set([third ?? 0]))).toBe(fourth ?? 0);
  });

  test("that a connection of another end still holds is passed over", async () => {
    const start = 0.6;
    const free = await new PrivatePorts(new Set(), start).take(new Set());
    const { promise, resolve } = Promise.withResolvers<void>();
    const server = Bun.listen({
      hostname: "127.0.0.1",
      port: free,
      socket: {
        data: () => undefined,
        open(socket) {
          // The side that closes first keeps the port for a minute.
          socket.end();
          resolve();
        },
      },
    });
    const client = await Bun.connect({
      hostname: "127.0.0.1",
      port: free,
      socket: { data: () => undefined },
    });
    await promise;
    client.end();
    server.stop(true);
    expect(await new PrivatePorts(new Set(), start).take(new Set())).not.toBe(free);
  });
});
