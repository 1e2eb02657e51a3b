import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Cache } from "../../src/cache/cache.ts";
import { openChunkedCache } from "../../src/cache/chunked/cache.ts";
import { chunkPrefix } from "../../src/cache/chunked/names.ts";
import type { KeyValue } from "../../src/cache/key-value.ts";
import { DewyError } from "../../src/errors.ts";
import { systemClock } from "../../src/util/time.ts";
import { fileOfSize } from "./chunked-cache.ts";
import { recordingLog } from "./recording.ts";
import type { ServerProcess } from "./server-process.ts";
import { tempDir } from "./temp-dir.ts";
import { sharedToxiproxy, type Proxy as ToxicProxy } from "./toxiproxy.ts";
import { until } from "./until.ts";

const c = { signal: new AbortController().signal };
const chunkBytes = 64 * 1024;
/** So much takes nearly two seconds, and a chunk an eighth of that; it stays so slow when the fault is over. */
const slow = { rate: 300 };
const fileBytes = 8 * chunkBytes;
/** For the service's calls in these tests. */
export const deadlines = { head: 600, chunk: 900 };

/** A server that one file of tests may stop, and how a host's cache on it is made, all of one key space. */
export interface FaultyService {
  readonly server: ServerProcess;
  /** `address` is `host:port`, of the server itself or of a proxy before it. */
  open(address: string, space: string): KeyValue;
}

interface Scene {
  readonly server: ServerProcess;
  readonly proxy: ToxicProxy;
  /** Through the proxy. */
  readonly victim: Cache;
  /** Right at the server. */
  readonly other: Cache;
  readonly otherKv: KeyValue;
  readonly log: ReturnType<typeof recordingLog>;
  readonly dir: string;
}

interface Fault {
  readonly name: string;
  inflict(scene: Scene): void | Promise<void>;
  heal(scene: Scene): void | Promise<void>;
}

const faults: readonly Fault[] = [
  {
    name: "killed",
    inflict: ({ server }) => server.stop(),
    heal: ({ server }) => server.restart(),
  },
  {
    name: "paused",
    inflict: ({ server }) => server.pause(),
    heal: ({ server }) => server.resume(),
  },
  {
    name: "cut off",
    inflict: ({ proxy }) => proxy.cut(),
    heal: () => {},
  },
  {
    name: "whose answers are lost",
    inflict: ({ proxy }) => proxy.toxic("timeout", { timeout: 0 }, "downstream"),
    heal: ({ proxy }) => proxy.clear(),
  },
];

/** What a cache does while its server fails: an error before long, nothing half done, and on by itself. */
export function faultContract(name: string, start: () => Promise<FaultyService>): void {
  setDefaultTimeout(60_000);
  let started: Promise<FaultyService> | undefined;
  const service = () => {
    started ??= start();
    return started;
  };

  describe.each(faults.map((fault) => [fault.name, fault] as const))(
    `${name} %s in the middle of`,
    (_, fault) => {
      test("putFile: the old entry stays", async () => {
        await inScene(await service(), async (scene) => {
          const { proxy, victim, other, otherKv, log } = scene;
          const [old, fresh] = [fileOfSize(scene.dir, fileBytes, 1), fileOfSize(scene.dir, fileBytes, 2)];
          await victim.putFile("key", old, c);
          const before = await chunkCount(otherKv);
          await proxy.toxic("bandwidth", slow, "upstream");
          const putting = failure(victim.putFile("key", fresh, c));
          await until("some chunks", async () => (await chunkCount(otherKv)) >= before + 2);
          await fault.inflict(scene);
          expectTrouble(await putting);
          await fault.heal(scene);
          expect(await recovered(() => other.fetchFile("key", join(scene.dir, "other"), c))).toBe(old.digest);
          await recovered(() => victim.putFile("key", fresh, c));
          expect(await other.fetchFile("key", join(scene.dir, "fresh"), c)).toBe(fresh.digest);
          expect(log.at("warn")).toEqual([]);
        });
      });

      test("fetchFile: nothing is left, and the entry stays", async () => {
        await inScene(await service(), async (scene) => {
          const { proxy, victim, other, log } = scene;
          const file = fileOfSize(scene.dir, fileBytes);
          await other.putFile("key", file, c);
          await proxy.toxic("bandwidth", slow, "downstream");
          using into = tempDir();
          const fetching = failure(victim.fetchFile("key", join(into.path, "to"), c));
          await until("some bytes", () => sizesIn(into.path) >= 2 * chunkBytes);
          await fault.inflict(scene);
          expectTrouble(await fetching);
          expect(readdirSync(into.path)).toEqual([]);
          await fault.heal(scene);
          expect(await recovered(() => victim.fetchFile("key", join(into.path, "to"), c))).toBe(file.digest);
          expect(readFileSync(join(into.path, "to")).equals(file.content)).toBe(true);
          expect(log.at("warn")).toEqual([]);
        });
      });

      test("compareAndSwap: the old value or the new one, and the next swap goes by its version", async () => {
        await inScene(await service(), async (scene) => {
          const { proxy, victim, other, log } = scene;
          const [old, fresh] = [Buffer.alloc(1000, 1), Buffer.alloc(1000, 2)];
          const version = await victim.compareAndSwap("key", old, null, c);
          await proxy.toxic("latency", { latency: 1000 }, "upstream");
          const swapping = failure(victim.compareAndSwap("key", fresh, version, c));
          await fault.inflict(scene);
          expectTrouble(await swapping);
          await fault.heal(scene);
          await proxy.clear();
          const there = await recovered(() => victim.get("key", c));
          expect([old[0], fresh[0]]).toContain(there?.body[0]);
          expect(there?.body).toHaveLength(1000);
          expect(
            await other.compareAndSwap("key", Buffer.from("next"), there?.version ?? "", c),
          ).not.toBeNull();
          expect(log.at("warn")).toEqual([]);
        });
      });
    },
  );
}

async function inScene(service: FaultyService, play: (scene: Scene) => Promise<void>): Promise<void> {
  const { server } = service;
  const space = `test-${crypto.randomUUID()}`;
  const toxiproxy = await sharedToxiproxy();
  await using proxy = await toxiproxy.proxyTo(`127.0.0.1:${server.port}`);
  using dir = tempDir();
  const log = recordingLog();
  const cacheAt = (kv: KeyValue) => openChunkedCache(kv, { clock: systemClock, log }, { chunkBytes });
  const otherKv = service.open(`127.0.0.1:${server.port}`, space);
  await using victim = cacheAt(service.open(proxy.address, space));
  await using other = cacheAt(otherKv);
  await play({ server, proxy, victim, other, otherKv, log, dir: dir.path });
}

async function chunkCount(kv: KeyValue): Promise<number> {
  return (await Array.fromAsync(kv.list(chunkPrefix, c))).length;
}

function sizesIn(directory: string): number {
  return readdirSync(directory).reduce((sum, name) => sum + statSync(join(directory, name)).size, 0);
}

async function failure(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    (value) => new Error(`did not fail: ${value}`),
    (error: unknown) => error,
  );
}

function expectTrouble(error: unknown): void {
  expect(error).toBeInstanceOf(DewyError);
  // `rate-limited`: the governor leaves a server alone that has just failed.
  expect(["network-unreachable", "network-timeout", "http-status", "rate-limited"]).toContain(
    error instanceof DewyError ? error.code : "",
  );
  expect(error).toMatchObject({ retryable: true });
}

/** Tried as an agent's next ticks do: what fails is only the network, until it works. */
async function recovered<T>(work: () => Promise<T>): Promise<T> {
  const outcome = await until("it works again", async () => {
    try {
      return { value: await work() };
    } catch (error) {
      expectTrouble(error);
      return false;
    }
  });
  return outcome.value;
}
