import { describe, expect, test } from "bun:test";
import type { Container } from "../../src/container/runtime.ts";
import { reachesDirectly } from "../../src/replicas/reach.ts";
import { Replica } from "../../src/replicas/replica.ts";
import { MemoryRuntime } from "../support/memory-runtime.ts";
import { c, deployment } from "./replica-set-host.ts";

const engine = { rootless: false };

async function container(runtime: MemoryRuntime, fields: Partial<Container>): Promise<Container> {
  const id = await runtime.create(deployment(runtime, "v1").makeSpec(0), c);
  await runtime.start(id, c);
  const started = await runtime.inspect(id, c);
  if (started === null) throw new Error("no container");
  return { ...started, ports: [{ appPort: 8080, hostIp: "127.0.0.1", hostPort: 32768 }], ...fields };
}

const published = { host: "127.0.0.1", port: 32768 };
const direct = (host: string) => ({ host, port: 8080 });

describe("a replica's route", () => {
  test("leads over the published port until its own address has been reached, and again when that changes", async () => {
    await using runtime = new MemoryRuntime();
    const seen = await container(runtime, { addresses: ["172.17.0.2"] });
    const replica = new Replica(seen.id, seen.name, 0, deployment(runtime, "v1"), 0);
    replica.see(seen, 1, engine);
    expect(replica.route.get(8000)).toEqual([published, direct("172.17.0.2")]);
    replica.setReached(replica.direct, true);
    expect(replica.route.get(8000)).toEqual([direct("172.17.0.2")]);
    expect(replica.addresses.get(8000)).toEqual([published, direct("172.17.0.2")]);
    replica.see({ ...seen, addresses: ["172.17.0.9"] }, 2, engine);
    expect(replica.route.get(8000)).toEqual([published, direct("172.17.0.9")]);
    replica.setReached(replica.direct, true);
    replica.setReached(replica.direct, false);
    expect(replica.route.get(8000)).toEqual([published, direct("172.17.0.9")]);
  });

  test("is the published one where the engine is rootless", async () => {
    await using runtime = new MemoryRuntime();
    const seen = await container(runtime, { addresses: ["10.0.2.100"] });
    const replica = new Replica(seen.id, seen.name, 0, deployment(runtime, "v1"), 0);
    replica.see(seen, 1, { rootless: true });
    expect(replica.route.get(8000)).toEqual([published]);
  });
});

test("all direct addresses must take connections", async () => {
  using server = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const open = { host: "127.0.0.1", port: server.port };
  const shut = { host: "127.0.0.1", port: 1 };
  expect(await reachesDirectly(new Map([[8000, [open]]]), c)).toBe(true);
  expect(await reachesDirectly(new Map([[8000, [open, shut]]]), c)).toBe(false);
  expect(await reachesDirectly(new Map([[8000, []]]), c)).toBe(false);
});
