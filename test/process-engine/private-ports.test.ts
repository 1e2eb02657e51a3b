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
  test("is none that this host's own connections come from", () => {
    const [low = 0, high = 0] = readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "utf8")
      .split("\t")
      .map(Number);
    const port = new PrivatePorts(new Set()).take(new Set());
    expect(port < low || port > high).toBe(true);
  });

  test("rests after it was given", () => {
    const ports = new PrivatePorts(new Set(), 0.2);
    const first = ports.take(new Set());
    expect(ports.take(new Set())).toBeGreaterThan(first);
  });

  test("is no one's already: not another process's, not the proxy's, not taken by whoever listens", () => {
    const start = 0.4;
    const found: number[] = [];
    for (let each = 0; each < 4; each++) {
      found.push(new PrivatePorts(new Set(found), start).take(new Set()));
    }
    const [first, second, third, fourth] = found;
    using _ = Bun.serve({ hostname: "127.0.0.1", port: first ?? 0, fetch: () => new Response() });
    const ports = new PrivatePorts(new Set([second ?? 0]), start);
    expect(ports.take(new Set([third ?? 0]))).toBe(fourth ?? 0);
  });

  test("that a connection of another end still holds is passed over", async () => {
    const start = 0.6;
    const free = new PrivatePorts(new Set(), start).take(new Set());
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
    expect(new PrivatePorts(new Set(), start).take(new Set())).not.toBe(free);
  });

  test.each(["127.0.0.1", "0.0.0.0", "::1", "::"])("that is served on %s is passed over", (hostname) => {
    const start = 0.7;
    const free = new PrivatePorts(new Set(), start).take(new Set());
    using _ = Bun.listen({ hostname, port: free, socket: { data: () => undefined } });
    expect(new PrivatePorts(new Set(), start).take(new Set())).not.toBe(free);
  });

  test("may be bound at once, on whatever address, by an app that does not set SO_REUSEADDR", () => {
    const bind = `
import socket, sys
for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
    with socket.socket(family) as each: each.bind((host, int(sys.argv[1])))
`;
    const port = new PrivatePorts(new Set(), 0.8).take(new Set());
    const { exitCode, stderr } = Bun.spawnSync(["python3", "-c", bind, String(port)]);
    expect({ exitCode, said: stderr.toString() }).toEqual({ exitCode: 0, said: "" });
  });
});
