import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import {
  type DriverDeps,
  openNotifiers,
  readArchiveRegistry,
  readCache,
  schemes,
  urlChecker,
} from "../src/drivers.ts";
import { HttpClient } from "../src/http/client.ts";
import { silentLog } from "../src/log.ts";
import { FakeClock } from "./support/clock.ts";
import { recordingLog } from "./support/recording.ts";
import { tempDir } from "./support/temp-dir.ts";

const host = { slot: null, calver: null, images: false };
const c = { signal: new AbortController().signal };
const clock = new FakeClock();
const deps: DriverDeps = {
  platform: { os: "linux", arch: "amd64" },
  http: new HttpClient({ clock, log: silentLog, userAgent: "test", env: {} }),
  clock,
  log: silentLog,
};

describe("opening by URL", () => {
  test.each(["file:///srv/releases", "ghr://owner/repo"])("%s is a registry", async (url) => {
    const { registry, source } = (await readArchiveRegistry(url, host, {}))(deps);
    expect(source.open).toBeFunction();
    await registry[Symbol.asyncDispose]();
  });

  test.each([
    ["file://", null],
    ["file:///var/cache/app", "/var/cache/app"],
    ["memory://", null],
  ])("%s is a cache of this host alone", async (url, directory) => {
    using dir = tempDir();
    const options = await readCache(url);
    expect(options).toMatchObject({ directory, ownsArtifacts: true });
    await using cache = options.open(dir.path, silentLog);
    expect(await cache.get("key", c)).toBeNull();
  });

  test("reading a URL touches nothing", async () => {
    using dir = tempDir();
    const path = join(dir.path, "not-there");
    await readCache(`file://${path}`);
    await readArchiveRegistry(`file://${path}`, host, {});
    expect(existsSync(path)).toBe(false);
  });

  test("registry-ttl on a file cache is ignored with the sheet's words", async () => {
    using dir = tempDir();
    const log = recordingLog();
    (await readCache("file://?registry-ttl=10s")).open(dir.path, log);
    expect(log.at("warn")).toEqual([
      "registry-ttl set but cache backend does not support atomic writes; ignoring",
    ]);
  });

  test("no notifier is a notifier that says nothing", async () => {
    await using notifier = await openNotifiers([], deps);
    await notifier.notify({ kind: "downloaded", tag: "v1.0.0" }, c);
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
