import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { readCache } from "../../src/drivers/caches.ts";
import { schemes, urlChecker } from "../../src/drivers/check.ts";
import type { DriverDeps } from "../../src/drivers/driver.ts";
import { openNotifiers } from "../../src/drivers/notifiers.ts";
import { readArchiveRegistry } from "../../src/drivers/registries.ts";
import { HttpClient } from "../../src/http/client.ts";
import { silentLog } from "../../src/log.ts";
import { FakeClock } from "../support/clock.ts";
import { recordingLog } from "../support/recording.ts";
import { tempDir } from "../support/temp-dir.ts";

const host = { slot: null, calver: null, images: false };
const c = { signal: new AbortController().signal };
const clock = new FakeClock();
const http = new HttpClient({ clock, log: silentLog, userAgent: "test", env: {} });
const deps: DriverDeps = {
  platform: { os: "linux", arch: "amd64" },
  http,
  governor: http.governor,
  clock,
  log: silentLog,
  env: {},
};

describe("opening by URL", () => {
  test.each([
    "file:///srv/releases",
    "ghr://owner/repo",
    "s3://eu-central-1/bucket/app?endpoint=http://127.0.0.1:1",
    "gs://bucket/app",
    "grpc://127.0.0.1:1?no-tls=true",
  ])("%s is a registry", async (url) => {
    const { registry, source } = await (await readArchiveRegistry(url, host, {}))(deps);
    expect(source.open).toBeFunction();
    await registry[Symbol.asyncDispose]();
  });

  test.each([
    ["file://", null],
    ["file:///var/cache/app", "/var/cache/app"],
    ["memory://", null],
  ])("%s is a cache of this host alone", async (url, directory) => {
    using dir = tempDir();
    const options = await readCache(url, {});
    expect(options).toMatchObject({ directory, isShared: false });
    const { own, shared } = await options.open(dir.path, deps);
    expect(shared).toBeNull();
    expect(await own.get("key", c)).toBeNull();
    await own[Symbol.asyncDispose]();
  });

  test.each([
    "s3://eu-central-1/bucket/cache?endpoint=http://127.0.0.1:1",
    "gs://bucket/cache",
    "redis://127.0.0.1:1/3?ttl=1h",
    "rediss://127.0.0.1:1",
    "consul://127.0.0.1:1/dewy?dc=dc1&max-artifact=1MiB",
  ])("%s is a cache that hosts share, with one of this host's own beside it", async (url) => {
    using dir = tempDir();
    const shares = `${url}${url.includes("?") ? "&" : "?"}registry-ttl=30s&registry-stale-max=1h&max-size=1GiB`;
    const options = await readCache(shares, {});
    expect(options).toMatchObject({
      directory: null,
      isShared: true,
      registryTtlMs: 30_000,
      registryStaleMaxMs: 3_600_000,
      maxBytes: 2 ** 30,
    });
    const { own, shared, answers } = await options.open(dir.path, deps);
    expect(answers).toBe(shared);
    expect(await own.get("key", c)).toBeNull();
    await own[Symbol.asyncDispose]();
    await shared?.[Symbol.asyncDispose]();
  });

  test.each<[string, string]>([
    ["file://?registry-stale-max=1h", "registry-stale-max"],
    ["memory://?registry-stale-max=1h", "without registry-ttl="],
    ["s3://eu-central-1/bucket?registry-ttl=500ms", "less than a second"],
    ["redis://host?registry-ttl=1h&registry-stale-max=1m", "less than registry-ttl="],
    ["gs://bucket?max-size=much", "max-size"],
    ["consul://host?nope=1", "nope"],
    ["s3://eu-central-1", "bucket"],
  ])("%s: %s", async (url, words) => {
    await expect(readCache(url, {})).rejects.toMatchObject({
      code: "config-invalid",
      message: expect.stringContaining(words),
    });
  });

  test("reading a URL touches nothing", async () => {
    using dir = tempDir();
    const path = join(dir.path, "not-there");
    await readCache(`file://${path}`, {});
    await readArchiveRegistry(`file://${path}`, host, {});
    expect(existsSync(path)).toBe(false);
  });

  test("registry-ttl on a file cache is ignored with the sheet's words", async () => {
    using dir = tempDir();
    const log = recordingLog();
    await (await readCache("file://?registry-ttl=10s", {})).open(dir.path, { ...deps, log });
    expect(log.at("warn")).toEqual([
      "registry-ttl set but cache backend does not support atomic writes; ignoring",
    ]);
  });

  test.each([
    ["slack://deploys?on=error&title=App", "slack://deploys"],
    ["smtp://mail.example.com/ops@example.com?quiet=true", "smtp://mail.example.com:587/ops@example.com"],
    ["mail://mail.example.com/ops@example.com", "mail://mail.example.com:587/ops@example.com"],
    ["smtps://mail.example.com/ops@example.com", "smtps://mail.example.com:465/ops@example.com"],
    ["webhook+https://example.com/s3cret?on=deploy,hook", "webhook+https://example.com/…"],
    ["webhook+http://127.0.0.1:1/s3cret", "webhook+http://127.0.0.1:1/…"],
  ])("%s is a notifier", async (url, name) => {
    const env = { SLACK_TOKEN: "xoxb-1" };
    const [opened] = await openNotifiers([url], { ...deps, env });
    expect(opened?.notifier.name).toBe(name);
    expect(opened?.key).toMatch(/^[0-9a-f]{16}$/);
    await opened?.notifier[Symbol.asyncDispose]();
  });

  test("of notifiers each wants what its own URL says", async () => {
    const opened = await openNotifiers(
      ["webhook+http://127.0.0.1:1/a?on=error", "webhook+http://127.0.0.1:1/b"],
      deps,
    );
    const event = { kind: "downloaded", tag: "v1.0.0" } as const;
    expect(opened.map(({ wants }) => wants(event))).toEqual([false, true]);
    expect(opened[0]?.key).not.toBe(opened[1]?.key);
  });

  test("one notifier twice is an error", async () => {
    const url = "webhook+http://127.0.0.1:1/a";
    await expect(openNotifiers([url, url], deps)).rejects.toMatchObject({ code: "config-invalid" });
  });
});

describe("what is wrong with the URLs", () => {
  const check = urlChecker({});
  const fine = { registry: "file:///srv", cache: "file://", notifiers: [], calver: null, images: false };

  test("nothing", async () => {
    expect(await check(fine)).toEqual([]);
    expect(await check({ registry: null, cache: null, notifiers: [], calver: null, images: false })).toEqual(
      [],
    );
  });

  test("all of it, at once", async () => {
    const problems = await check({
      registry: "file:///srv?nope=1",
      cache: "redis+x://host",
      notifiers: ["carrier-pigeon://coop"],
      calver: null,
      images: false,
    });
    expect(problems.map(({ message }) => message)).toEqual([
      expect.stringContaining('unknown parameter "nope"'),
      expect.stringContaining("redis+x://"),
      expect.stringContaining("carrier-pigeon://"),
    ]);
  });

  test("an unknown scheme is answered with the known ones", async () => {
    await expect(readArchiveRegistry("svn://host/path", host, {})).rejects.toMatchObject({
      code: "config-invalid",
      message: "--registry: the scheme svn:// is not known",
      hint: `write one of ${schemes.registry.map((name) => `${name}://`).join(", ")}`,
    });
  });

  test("--calver and a constraint in the URL exclude each other", async () => {
    const problems = await check({ ...fine, registry: "file:///srv?constraint=~1", calver: "YYYY.0M" });
    expect(problems).toHaveLength(1);
  });
});
