import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { headName } from "../../src/cache/chunked/names.ts";
import type { KeyValue } from "../../src/cache/key-value.ts";
import { commandError, replyError } from "../../src/cache/redis/failure.ts";
import { readRedisUrl, redisParams } from "../../src/cache/redis/url.ts";
import { DewyError } from "../../src/errors.ts";
import { readQuery } from "../../src/util/query.ts";
import { redisAt } from "../support/cache-clients.ts";
import { freePort } from "../support/free-port.ts";
import { HttpHost } from "../support/http-host.ts";
import { sharedRedis, startRedis } from "../support/redis-server.ts";
import { sharedToxiproxy } from "../support/toxiproxy.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(30_000);

const c = { signal: new AbortController().signal };
const key = headName("key");
const fresh = headName("fresh");
const deadlines = { head: 1000, chunk: 1000 };
const secret = "s3cr:t/@%ö";

/** What a tick would do; answers the error, every text of it without the secret. */
async function errorOf(kv: KeyValue): Promise<DewyError> {
  const write = kv.set(fresh, Buffer.from("value"), { kind: "head", expected: null }, c);
  const error = await write.then(
    () => new Error("no error"),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof DewyError)) throw error;
  const all = Bun.inspect(error) + error.message + error.hint;
  expect(all).not.toContain(secret);
  expect(all).not.toContain(encodeURIComponent(secret));
  expect(error.message).not.toContain("\n");
  return error;
}

function at(url: string, user = ""): string {
  return url.replace("://", `://${user}`);
}

describe("redis", () => {
  test("with a password: none, a wrong one, the right one from the URL and from the environment", async () => {
    await using server = await startRedis({ password: secret });
    const login = `:${encodeURIComponent(secret)}@`;
    await using none = redisAt(server.url);
    expect(await errorOf(none)).toMatchObject({
      code: "unauthorized",
      message: `write the cache: redis at ${server.host} wants a password`,
      hint: "set REDIS_PASSWORD, or write redis://:password@host",
    });
    await using wrong = redisAt(at(server.url, ":wrong@"), { env: { REDIS_PASSWORD: secret } });
    expect(await errorOf(wrong)).toMatchObject({
      code: "unauthorized",
      message: `write the cache: redis at ${server.host} does not know this user with this password`,
      hint: "correct the user and password in the cache URL, or REDIS_PASSWORD",
    });
    await using nobody = redisAt(at(server.url, `nobody${login}`));
    expect(await errorOf(nobody)).toMatchObject({ code: "unauthorized" });
    await using right = redisAt(`${at(server.url, login)}?prefix=a`);
    expect(await right.set(key, Buffer.from("value"), { kind: "head" }, c)).not.toBeNull();
    await using byEnvironment = redisAt(`${server.url}?prefix=a`, { env: { REDIS_PASSWORD: secret } });
    expect((await byEnvironment.get(key, "head", c))?.body).toEqual(Buffer.from("value"));
  });

  test("a user with just the rights of the hint can do all; one without is told which", async () => {
    const rights = "~dewy:* +get +set +getrange +del +eval +unlink +scan +select";
    const name = "agent-ö";
    await using server = await startRedis({ user: { name, password: secret, rules: rights } });
    const user = `${encodeURIComponent(name)}:${encodeURIComponent(secret)}@`;
    await using kv = redisAt(`${at(server.url, user)}/3`);
    const version = await kv.set(key, Buffer.from("1"), { kind: "head", expected: null }, c);
    expect(await kv.set(key, Buffer.from("2"), { kind: "head", expected: version }, c)).not.toBeNull();
    expect(await Array.fromAsync(kv.list("", c))).toEqual([key]);
    await kv.delete([key], c);
    await kv.set(key, Buffer.from("3"), { kind: "chunk" }, c);
    expect(await kv.deleteVersion(key, (await kv.get(key, "head", c))?.version ?? "", c)).toBe(true);
    await using elsewhere = redisAt(`${at(server.url, user)}?prefix=other`);
    const expected = {
      code: "unauthorized",
      message: `write the cache: redis at ${server.host} lets this user not do that`,
      hint: "ACL SETUSER <user> ~<prefix>:* +get +set +del +getrange +eval +unlink +scan +select",
    };
    expect(await errorOf(elsewhere)).toMatchObject(expected);
    await server.command("ACL", "SETUSER", name, "-eval");
    expect(await errorOf(kv)).toMatchObject(expected);
  });

  test("a database that is not there", async () => {
    const server = await sharedRedis();
    await using kv = redisAt(`${server.url}/99`);
    expect(await errorOf(kv)).toMatchObject({
      code: "config-invalid",
      message: `write the cache: redis at ${server.host} has no database of that number`,
    });
    // Not even after the error does anything get into database 0.
    expect(await errorOf(kv)).toMatchObject({ code: "config-invalid" });
    expect(await server.command("EXISTS", `dewy:${fresh}`)).toBe("0");
  });

  test("databases keep their keys apart", async () => {
    const server = await sharedRedis();
    const prefix = crypto.randomUUID();
    await using one = redisAt(`${server.url}/1?prefix=${prefix}`);
    await using two = redisAt(`${server.url}/2?prefix=${prefix}`);
    await one.set(key, Buffer.from("one"), { kind: "head" }, c);
    expect(await two.get(key, "head", c)).toBeNull();
    expect(await server.command("-n", "1", "EXISTS", `${prefix}:${key}`)).toBe("1");
  });

  test.each(["half", "down"] as const)("a node of a cluster (%s)", async (cluster) => {
    await using server = await startRedis({ cluster });
    await using kv = redisAt(server.url);
    expect(await errorOf(kv)).toMatchObject({
      code: "config-invalid",
      message: `write the cache: redis at ${server.host} is part of a cluster: redis cluster is not supported`,
    });
  });

  test("a replica can be read, and says that it takes no writes", async () => {
    await using server = await startRedis();
    await using kv = redisAt(server.url);
    await kv.set(key, Buffer.from("value"), { kind: "head" }, c);
    await server.command("REPLICAOF", "127.0.0.1", String(freePort()));
    expect((await kv.get(key, "head", c))?.body).toEqual(Buffer.from("value"));
    const expected = { code: "bad-answer", hint: "name the primary in the cache URL" };
    expect(await errorOf(kv)).toMatchObject(expected);
    const plain = kv.set(key, Buffer.from("value"), { kind: "chunk" }, c);
    await expect(plain).rejects.toMatchObject(expected);
  });

  test("a full one can be read, and says so to writes", async () => {
    await using server = await startRedis();
    await using kv = redisAt(server.url);
    await kv.set(key, Buffer.from("value"), { kind: "head" }, c);
    await server.command("CONFIG", "SET", "maxmemory", "1");
    expect(await kv.get(key, "head", c)).not.toBeNull();
    const expected = {
      code: "bad-answer",
      message: `write the cache: redis at ${server.host} is full (maxmemory)`,
    };
    expect(await errorOf(kv)).toMatchObject(expected);
    await expect(kv.set(key, Buffer.from("x"), { kind: "chunk" }, c)).rejects.toMatchObject(expected);
  });

  test("no room for one more client", async () => {
    await using server = await startRedis();
    await using first = redisAt(server.url);
    await first.get(key, "head", c);
    await server.command("CONFIG", "SET", "maxclients", "1");
    await using second = redisAt(server.url);
    expect(await errorOf(second)).toMatchObject({
      code: "network-unreachable",
      message: `write the cache: redis at ${server.host} takes no more clients`,
    });
  });

  test("somebody else's value of another kind under its key", async () => {
    const server = await sharedRedis();
    const prefix = crypto.randomUUID();
    await server.command("RPUSH", `${prefix}:${key}`, "x");
    await using kv = redisAt(`${server.url}?prefix=${prefix}`);
    await expect(kv.get(key, "head", c)).rejects.toMatchObject({
      code: "bad-answer",
      hint: "name a prefix= of its own in the cache URL",
    });
  });

  test("nobody there", async () => {
    const port = freePort();
    await using kv = redisAt(`redis://127.0.0.1:${port}`);
    expect(await errorOf(kv)).toMatchObject({
      code: "network-unreachable",
      message: `write the cache: no connection to 127.0.0.1:${port} (ECONNREFUSED)`,
    });
    await expect(kv.get(key, "head", c)).rejects.toMatchObject({ code: "rate-limited" });
  });

  test("no such host", async () => {
    await using kv = redisAt("redis://dewy-test.invalid", { deadlines: { head: 5000, chunk: 5000 } });
    expect(await errorOf(kv)).toMatchObject({ code: "network-unreachable" });
  });

  test("a web server", async () => {
    await using host = await HttpHost.start(() => ({ status: 200 }));
    const address = new URL(host.origin).host;
    await using kv = redisAt(`redis://${address}`);
    expect(await errorOf(kv)).toMatchObject({
      code: "bad-answer",
      message: `write the cache: what answers at ${address} is no Redis`,
    });
  });

  test("a connection that is dead without being closed is given up for a new one", async () => {
    const server = await sharedRedis();
    const proxy = await sharedToxiproxy();
    await using route = await proxy.proxyTo(server.host);
    await using kv = redisAt(`redis://${route.address}?prefix=${crypto.randomUUID()}`, { deadlines });
    await kv.get(key, "head", c);
    await route.toxic("timeout", { timeout: 0 });
    await expect(kv.get(key, "head", c)).rejects.toMatchObject({ code: "network-timeout" });
    const readers = async () => (await server.command("CLIENT", "LIST")).match(/ cmd=get /g)?.length ?? 0;
    await until("its end is closed", async () => (await readers()) === 0);
  });

  test("somebody who never says a word", async () => {
    using mute = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    await using kv = redisAt(`redis://127.0.0.1:${mute.port}`, { deadlines });
    expect(await errorOf(kv)).toMatchObject({ code: "network-timeout" });
    mute.stop(true);
  });
});

describe("an error reply", () => {
  const url = new URL(`redis://user:${encodeURIComponent(secret)}@host`);
  const options = readRedisUrl(url, readQuery(url, redisParams), {});
  test.each([
    ["WRONGPASS invalid username-password pair or user is disabled.", "unauthorized"],
    ["NOAUTH Authentication required.", "unauthorized"],
    ["NOPERM this user has no permissions to run the 'eval' command", "unauthorized"],
    ["NOPERM No permissions to access a key", "unauthorized"],
    ["ERR ACL failure in script: User dewy has no permissions to run the 'set' command", "unauthorized"],
    ["DENIED Redis is running in protected mode because protected mode is enabled", "unauthorized"],
    ["MOVED 3999 127.0.0.1:6381", "config-invalid"],
    ["CLUSTERDOWN Hash slot not served", "config-invalid"],
    ["CROSSSLOT Keys in request don't hash to the same slot", "config-invalid"],
    ["ERR SELECT is not allowed in cluster mode", "config-invalid"],
    ["ERR DB index is out of range", "config-invalid"],
    ["READONLY You can't write against a read only replica. script: 3a1, on @user_script:2.", "bad-answer"],
    ["ERR Error running script (call to f_3): @user_script:2: -READONLY You can't write", "bad-answer"],
    ["OOM command not allowed when used memory > 'maxmemory'.", "bad-answer"],
    ["MISCONF Redis is configured to save RDB snapshots, but it's currently unable to", "bad-answer"],
    ["LOADING Redis is loading the dataset in memory", "network-unreachable"],
    ["BUSY Redis is busy running a script.", "network-unreachable"],
    [
      "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
      "network-unreachable",
    ],
    ["ERR max number of clients reached", "network-unreachable"],
    ["WRONGTYPE Operation against a key holding the wrong kind of value", "bad-answer"],
    [
      `ERR unknown command \`HELLO\`, with args beginning with: \`3\`, \`AUTH\`, \`${secret}\``,
      "config-invalid",
    ],
    ["NOPROTO unsupported protocol version", "config-invalid"],
    [`ERR something new about ${secret}\r\nand more`, "bad-answer"],
  ] as const)("%s", (reply, code) => {
    const thrown = Object.assign(new Error(reply), { code: "ERR_REDIS_SERVER_ERROR" });
    for (const error of [replyError(reply, "doing", options), commandError(thrown, "doing", options)]) {
      expect(error).toMatchObject({ code });
      expect(error).toBeInstanceOf(DewyError);
      expect(Bun.inspect(error)).not.toContain(secret);
      expect(error instanceof Error ? error.message : "").not.toContain("\n");
      if (!reply.includes("something new")) expect(error).toMatchObject({ hint: expect.stringMatching(/./) });
    }
  });
});
