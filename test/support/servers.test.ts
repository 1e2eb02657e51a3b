import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { startConsul } from "./consul-server.ts";
import { type Minio, startMinio } from "./minio.ts";
import { startRedis } from "./redis-server.ts";
import { keepers } from "./server-keepers.ts";
import { lazily } from "./server-process.ts";
import { startToxiproxy } from "./toxiproxy.ts";
import { until } from "./until.ts";

setDefaultTimeout(60_000);

// The servers that other tests stand on do what those take for granted; where one is missing, this fails first.

describe.each(Object.entries(keepers))("%s", (_, start) => {
  test("keeps what it was given over a stop and a restart at the same port", async () => {
    await using held = await start();
    const { port } = held.server;
    await held.put("first");
    await held.put("second");
    expect(await held.get()).toBe("second");
    await held.server.stop();
    expect(await held.get().catch(() => "nobody")).toBe("nobody");
    await held.server.restart();
    expect(held.server.port).toBe(port);
    expect(await held.get()).toBe("second");
  });
});

test("a paused server is silent, and answers what it was asked when it is resumed", async () => {
  await using paused = await startRedis();
  await using other = await startRedis();
  paused.pause();
  await until("it is stopped", () => stateOf(paused.pid) === "T");
  let answered = false;
  const answer = paused.command("PING").finally(() => {
    answered = true;
  });
  expect([await other.command("PING"), answered]).toEqual(["PONG", false]);
  paused.resume();
  expect(await answer).toBe("PONG");
});

test("two of a kind run side by side", async () => {
  await using one = await startRedis();
  await using other = await startRedis();
  await one.command("SET", "foo", "mine");
  expect(await other.command("GET", "foo")).toBe("");
});

test("a server whose process ends before it works is an error that says why", async () => {
  await expect(startRedis({ settings: ["nonsense"] })).rejects.toThrow(
    /redis-server does not start.*nonsense/s,
  );
});

test("a shared server is started once", async () => {
  let starts = 0;
  const shared = lazily(async () => {
    starts += 1;
    return startRedis();
  });
  const [one, same] = await Promise.all([shared(), shared()]);
  await using _ = one;
  expect([one === same, starts]).toEqual([true, 1]);
});

test("a killed test run leaves neither process nor files", async () => {
  const script = `import { startRedis } from "${import.meta.dir}/redis-server.ts";
    const redis = await startRedis();
    console.log(redis.pid, (await redis.command("CONFIG", "GET", "dir")).split("\\n")[1]);
    await Bun.sleep(60_000);`;
  const run = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe" });
  const { value } = await run.stdout.getReader().read();
  const [pid = "", directory = ""] = new TextDecoder().decode(value).trim().split(" ");
  expect(existsSync(directory)).toBe(true);
  run.kill("SIGKILL");
  await until("the server has ended", () => ["", "Z", "X"].includes(stateOf(Number(pid))));
  await until("its directory is gone", () => !existsSync(directory));
});

describe("minio", () => {
  const read = (minio: Minio, credentials: object) =>
    new Bun.S3Client({ ...credentials, endpoint: minio.endpoint, bucket: "bucket" });

  test("gives out credentials for one bucket and what may be done there", async () => {
    await using minio = await startMinio();
    await minio.createBucket("bucket");
    await read(minio, minio.credentials).write("key", "value");
    const limited = read(minio, await minio.limitedCredentials("bucket", ["s3:GetObject"]));
    expect(await limited.file("key").text()).toBe("value");
    await expect(limited.write("key", "other")).rejects.toMatchObject({ code: "AccessDenied" });
    expect((await fetch(`${minio.endpoint}/bucket/key`)).status).toBe(403);
    await minio.allowAnonymous("bucket", ["s3:GetObject"]);
    expect(await (await fetch(`${minio.endpoint}/bucket/key`)).text()).toBe("value");
  });

  test("refuses a request that was signed for another region", async () => {
    await using minio = await startMinio({ region: "eu-central-1" });
    await minio.createBucket("bucket");
    const elsewhere = read(minio, { ...minio.credentials, region: "us-west-2" });
    await expect(elsewhere.write("key", "value")).rejects.toMatchObject({
      code: "AuthorizationHeaderMalformed",
    });
  });
});

describe("redis-server", () => {
  test("confines a user to its keys", async () => {
    const user = { name: "dewy", password: "secret", rules: "~dewy:* +@all" };
    await using redis = await startRedis({ user });
    const client = new Bun.RedisClient(`redis://dewy:secret@${redis.host}`);
    expect(await client.set("dewy:a", "1")).toBe("OK");
    await expect(client.set("other", "1")).rejects.toThrow(/NOPERM/);
    client.close();
  });

  test("of a cluster sends away for slots that it doesn't have", async () => {
    await using half = await startRedis({ cluster: "half" });
    await expect(half.command("GET", "k")).rejects.toThrow("MOVED 7629 127.0.0.1:1");
    await using down = await startRedis({ cluster: "down" });
    await expect(down.command("GET", "k")).rejects.toThrow("CLUSTERDOWN");
  });
});

test("consul with TLS and access control tells who may do what", async () => {
  await using consul = await startConsul({ acl: true, tls: true, datacenter: "paris" });
  const ask = (key: string, token: string, init: RequestInit = {}) => {
    const tls = { ca: Bun.file(consul.ca ?? "") };
    const headers = { "X-Consul-Token": token };
    return fetch(`${consul.endpoint}/v1/kv/${key}?raw&dc=paris`, { ...init, headers, tls });
  };
  expect((await ask("dewy/a", consul.token ?? "", { method: "PUT", body: "1" })).status).toBe(200);
  const reader = await consul.createToken('key_prefix "dewy/" { policy = "read" }');
  expect(await (await ask("dewy/a", reader)).text()).toBe("1");
  expect((await ask("other", reader)).status).toBe(403);
  expect((await ask("dewy/a", "")).status).toBe(403);
});

describe("toxiproxy", () => {
  test("delays, cuts, resets and refuses, until it is cleared", async () => {
    await using redis = await startRedis();
    await using toxiproxy = await startToxiproxy();
    await using proxy = await toxiproxy.proxyTo(redis.host);
    const { port } = proxy;
    expect((await ping(port)).end).toBe("+PONG\r\n");

    await proxy.toxic("latency", { latency: 300 });
    const delayed = await ping(port);
    expect(delayed.end).toBe("+PONG\r\n");
    expect(delayed.afterMs).toBeGreaterThan(290);
    await proxy.clear();

    await proxy.toxic("limit_data", { bytes: 3 });
    expect((await ping(port)).end).toBe("cut after +PO");
    await proxy.clear();

    await proxy.toxic("reset_peer", { timeout: 0 });
    expect((await ping(port)).end).toBe("ECONNRESET");
    await proxy.clear();

    await proxy.disable();
    expect((await ping(port)).end).toBe("ECONNREFUSED");
    await proxy.enable();
    expect((await ping(port)).end).toBe("+PONG\r\n");
  });

  test("cuts open connections, and takes new ones", async () => {
    await using redis = await startRedis();
    await using toxiproxy = await startToxiproxy();
    await using proxy = await toxiproxy.proxyTo(redis.host);
    await proxy.toxic("timeout", { timeout: 0 }); // no answer comes
    const waiting = ping(proxy.port);
    await until("redis has it", async () => (await redis.command("CLIENT", "LIST")).includes("cmd=ping"));
    await proxy.cut();
    expect((await waiting).end).toBe("cut after ");
    await toxiproxy.restart();
    expect((await ping(proxy.port)).end).toBe("+PONG\r\n");
  });
});

/** One of Redis' commands on a connection of its own, and how that ended. */
function ping(port: number): Promise<{ readonly end: string; readonly afterMs: number }> {
  const { promise, resolve } = Promise.withResolvers<{ end: string; afterMs: number }>();
  const beganMs = performance.now();
  const socket = connect(port, "127.0.0.1", () => socket.write("PING\r\n"));
  let said = "";
  const ended = (end: string) => {
    resolve({ end, afterMs: performance.now() - beganMs });
    socket.destroy();
  };
  socket.on("data", (data) => {
    said += data;
    if (said.endsWith("\n")) ended(said);
  });
  socket.on("error", (error: NodeJS.ErrnoException) => ended(error.code ?? error.message));
  socket.on("close", () => ended(`cut after ${said}`));
  return promise;
}

/** The letter in /proc, such as S, T or Z; empty where there is no such process. */
function stateOf(pid: number): string {
  try {
    return /^State:\s+(\S)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? "";
  } catch {
    return "";
  }
}
