import { describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ProcessEngine } from "../../src/process-engine/engine.ts";
import type { Instance } from "../../src/replicas/engine.ts";
import { bootId, processGroup } from "../../src/util/procfs.ts";
import type { PrivateMode } from "../support/private-app.ts";
import { until } from "../support/until.ts";
import { c, ProcessHost } from "./process-host.ts";

const shop = { "dewy.app": "shop" };

async function start(
  host: ProcessHost,
  engine: ProcessEngine,
  mode: PrivateMode = "serve",
): Promise<Instance> {
  const id = await host.deployment(engine, "v1", mode).create(0, c);
  await engine.start(id);
  return await inspect(engine, id);
}

/** With a shell script as the app. */
async function startScript(host: ProcessHost, engine: ProcessEngine, script: string): Promise<Instance> {
  const command = ["/bin/sh", "-c", script];
  const id = await host.deployment(engine, "v1", "serve", { command }).create(0, c);
  await engine.start(id);
  return await inspect(engine, id);
}

async function inspect(engine: ProcessEngine, id: string): Promise<Instance> {
  const instance = await engine.inspect(id);
  if (instance === null) throw new Error(`no process ${id}`);
  return instance;
}

function isAlive(pid: number | null): boolean {
  return pid !== null && processGroup(pid).length > 0;
}

async function serves(engine: ProcessEngine, id: string): Promise<Instance> {
  return await until("it listens", async () => {
    const instance = await inspect(engine, id);
    const [port] = instance.ports;
    return port !== undefined && (await engine.listening(instance, port)) === "its-own" && instance;
  });
}

describe("a process", () => {
  test("serves at its own port, leads a group, and is known by name, labels and release", async () => {
    await using host = new ProcessHost();
    const engine = host.engine();
    const { id } = await start(host, engine);
    const { ports, pid, ...rest } = await serves(engine, id);
    const [port] = ports;
    const answer = await (await fetch(`http://127.0.0.1:${port?.hostPort}/`)).text();
    expect(answer).toBe(`v1 ${pid}\n`);
    expect(processGroup(pid ?? 0)).toContain(pid ?? 0);
    expect(rest).toMatchObject({ status: "running", exitCode: null, labels: { "dewy.version": "v1" } });
    expect(rest.image).toMatch(/^\d{8}T\d{6}Z$/);
  }, 120_000);

  test("finds its variables, those of ENVDIR, and none that a supervisor of dewy itself was told", async () => {
    await using host = new ProcessHost();
    const envDir = join(host.root, "env");
    mkdirSync(envDir);
    writeFileSync(join(envDir, "PORT"), "1\n");
    writeFileSync(join(envDir, "MODE"), "live\n");
    const env = { PATH: process.env["PATH"], LISTEN_FDS: "1", SERVER_STARTER_PORT: "1=3", KEPT: "yes" };
    const engine = host.engine({ envDir, env });
    const { id, ports } = await startScript(host, engine, `env > "$DEWY_RELEASE_DIR/told"; exec sleep 60`);
    const release = (await inspect(engine, id)).image;
    const read = () => readFileSync(join(host.root, "releases", release, "told"), "utf8");
    const told = await until("it has told", () => {
      try {
        return read().includes("DEWY_ROOT") && read();
      } catch {
        return null;
      }
    });
    const lines = told.split("\n");
    expect(lines).toContain(`PORT=${ports[0]?.hostPort}`);
    expect(lines).toContain("MODE=live");
    expect(lines).toContain("KEPT=yes");
    expect(lines).toContain(`DEWY_ROOT=${host.root}`);
    expect(told).not.toMatch(/^(LISTEN_FDS|SERVER_STARTER_PORT)=/m);
  }, 120_000);

  test.each<[string, string, number, string]>([
    ["exits", "exit 3", 3, ""],
    ["is killed", "kill -KILL $$", 137, "was killed by SIGKILL"],
  ])(
    "that %s is seen at once",
    async (_, script, exitCode, error) => {
      await using host = new ProcessHost();
      const engine = host.engine();
      const events: string[] = [];
      const over = new AbortController();
      const watching = engine.watch(shop, ({ action }) => void events.push(action), { signal: over.signal });
      const { id } = await startScript(host, engine, script);
      await until("its end is told", () => events.includes("die"));
      expect(await inspect(engine, id)).toMatchObject({ status: "exited", exitCode, error, pid: null });
      expect(events).toEqual(["create", "start", "die"]);
      over.abort();
      await expect(watching).rejects.toThrow();
    },
    120_000,
  );

  test("whose command is missing is the release's fault", async () => {
    await using host = new ProcessHost();
    const engine = host.engine();
    const id = await host.deployment(engine, "v1", "serve", { command: ["./current/missing"] }).create(0, c);
    await expect(engine.start(id)).rejects.toMatchObject({ code: "start-failed", blame: "release" });
  });

  test("is stopped with all its group", async () => {
    await using host = new ProcessHost();
    const engine = host.engine();
    const { id, pid } = await startScript(host, engine, "sleep 61 & sleep 62 & wait");
    await until("its children are there", () => processGroup(pid ?? 0).length === 3);
    await engine.stop(id, 5000, c);
    expect(isAlive(pid)).toBe(false);
    expect((await inspect(engine, id)).status).toBe("exited");
    await engine.remove(id, c);
    expect(await engine.inspect(id)).toBeNull();
    expect(await engine.list({})).toEqual([]);
    expect(host.record.read().processes).toEqual([]);
  }, 120_000);

  test("that does not heed SIGTERM is killed after its grace", async () => {
    await using host = new ProcessHost();
    const engine = host.engine();
    const { id, pid } = await start(host, engine, "stubborn");
    await serves(engine, id);
    await engine.stop(id, 200, c);
    expect(isAlive(pid)).toBe(false);
    expect(host.log.at("warn")).toEqual(["Process killed: it did not stop in time"]);
  }, 120_000);

  test("what it left behind when it ended goes with it", async () => {
    await using host = new ProcessHost();
    const engine = host.engine();
    const script = `sleep 63 & until test -e "$DEWY_RELEASE_DIR/end"; do sleep 0.02; done; exit 1`;
    const { id, pid, image } = await startScript(host, engine, script);
    writeFileSync(join(host.root, "releases", image, "end"), "");
    await until("it has ended", async () => (await inspect(engine, id)).status === "exited");
    expect(isAlive(pid)).toBe(true);
    await engine.stop(id, 5000, c);
    expect(isAlive(pid)).toBe(false);
  }, 120_000);
});

describe("a health command", () => {
  const check = async (command: string) => {
    await using host = new ProcessHost();
    const engine = host.engine({ healthCommand: command });
    const instance = await start(host, engine);
    return await engine.check(instance, 5000, c);
  };

  test("is told the process and its port, and does not bear the mark of the app's processes", async () => {
    const probed = await check('test "$DEWY_PORT" -gt 0 && kill -0 "$DEWY_PID" && test -z "$DEWY_REPLICA"');
    expect(probed).toMatchObject({ ok: true });
  }, 120_000);

  test("that fails is what was seen", async () => {
    const seen = "the health command exited with code 4";
    expect(await check("exit 4")).toEqual({ ok: false, seen });
  }, 120_000);
});

describe("whether a process listens", () => {
  test.each<[PrivateMode, string[]]>([
    ["serve", ["127.0.0.1"]],
    ["six", ["::1"]],
  ])(
    "on loopback is told by the kernel: %p",
    async (mode, hosts) => {
      await using host = new ProcessHost();
      const engine = host.engine();
      const { id } = await start(host, engine, mode);
      const instance = await serves(engine, id);
      expect(instance.ports.map(({ hostIp }) => hostIp)).toEqual(hosts);
    },
    120_000,
  );

  test("nowhere, or where nobody is led to, is not enough", async () => {
    await using host = new ProcessHost();
    const engine = host.engine();
    const { id, ports } = await start(host, engine, "elsewhere");
    const isHeard = () =>
      fetch(`http://127.0.0.2:${ports[0]?.hostPort}/`)
        .then(() => true)
        .catch(() => false);
    await until("it listens there", isHeard);
    const instance = await inspect(engine, id);
    const told = instance.ports.map((port) => engine.listening(instance, port));
    expect(await Promise.all(told)).toEqual(["not-its-own"]);
  }, 120_000);

  test("at a port that somebody else has taken first is no fault of its own", async () => {
    await using host = new ProcessHost();
    const engine = host.engine();
    const id = await host.deployment(engine, "v1").create(0, c);
    const [port] = (await inspect(engine, id)).ports;
    using _ = Bun.serve({
      hostname: "127.0.0.1",
      port: port?.hostPort ?? 0,
      fetch: () => new Response("foreign"),
    });
    await engine.start(id);
    const taken = expect.stringContaining("address already in use");
    await expect(engine.inspect(id)).rejects.toMatchObject({ code: "engine-failed", message: taken });
  }, 120_000);
});

describe("the next agent", () => {
  test("finds the processes, with their ports and labels, and sees their end", async () => {
    await using host = new ProcessHost();
    const { id } = await start(host, host.engine());
    const before = await serves(host.engine(), id);
    const next = host.engine();
    const [found] = await next.list(shop);
    expect(found).toMatchObject({ id, pid: before.pid, ports: before.ports, labels: before.labels });
    process.kill(before.pid ?? 0, "SIGKILL");
    await until("its end is seen", async () => (await inspect(next, id)).status === "exited");
  }, 120_000);

  test("finds one by its mark whose pid was never noted", async () => {
    await using host = new ProcessHost();
    const { id, pid } = await start(host, host.engine());
    const { processes, keeper } = host.record.read();
    const unnoted = processes.map((each) => ({ ...each, pid: null, startTicks: null }));
    host.record.write({ processes: unnoted, keeper });
    // Its environment is there a moment after its name is.
    const [found] = await until("it is found", async () => {
      const all = await host.engine().list(shop);
      return all.length > 0 && all;
    });
    expect(found).toMatchObject({ id, pid, labels: { "dewy.version": "v1" } });
  }, 120_000);

  test("without a record finds them too, as part of no deployment", async () => {
    await using host = new ProcessHost();
    const { pid } = await start(host, host.engine());
    host.record.write({ processes: [], keeper: null });
    const [found] = await until("it is found", async () => {
      const all = await host.engine().list(shop);
      return all.length > 0 && all;
    });
    expect(found?.pid).toBe(pid);
    expect(found?.labels["dewy.version"]).toBeUndefined();
  }, 120_000);

  test.each<[string, (host: ProcessHost, pid: number) => void]>([
    ["of another boot", (host, pid) => writeRecord(host, { bootId: "another", pid, startTicks: 1 })],
    ["of a pid that was given to somebody else", (host, pid) => writeRecord(host, { pid, startTicks: 1 })],
    ["that is no record", (host) => writeFileSync(host.record.path, "{")],
  ])("touches nobody because of a record %s", async (_, record) => {
    await using host = new ProcessHost();
    const stranger = Bun.spawn(["sleep", "64"], { stdio: ["ignore", "ignore", "ignore"] });
    try {
      record(host, stranger.pid);
      const engine = host.engine();
      expect(await engine.list({})).toEqual([]);
      await engine.remove("stranger", c);
      expect(stranger.exitCode).toBeNull();
    } finally {
      stranger.kill();
    }
  });
});

function writeRecord(host: ProcessHost, changes: { bootId?: string; pid: number; startTicks: number }): void {
  const { pid, startTicks } = changes;
  const createdAt = new Date(0).toISOString();
  const known = {
    id: "stranger",
    name: "shop-1-0",
    release: "r",
    labels: shop,
    ports: [],
    createdAt,
    pid,
    startTicks,
  };
  const body = { version: 1, bootId: changes.bootId ?? bootId(), processes: [known] };
  writeFileSync(host.record.path, JSON.stringify(body));
}
