import { describe, expect, test } from "bun:test";
import { silentLog } from "../../src/log.ts";
import { FakeClock } from "../support/clock.ts";
import type { GithubServer } from "../support/github-server.ts";
import { HttpHost } from "../support/http-host.ts";
import { c, files, openOn, stable, start } from "./github-fixture.ts";

describe("listing", () => {
  function publishMany(gh: GithubServer, count: number): void {
    for (let n = 0; n < count; n++) {
      gh.publish({ tag: `v1.0.${n}`, files, createdAt: new Date(Date.UTC(2026, 0, 1) + n * 60_000) });
    }
  }
  const listed = (gh: GithubServer) => gh.requests.filter((seen) => seen.path.includes("/releases?")).length;

  test("the newest by version is found on a later page", async () => {
    await using gh = await start();
    gh.publish({ tag: "v2.0.0", files, createdAt: new Date(Date.UTC(2020, 0, 1)) });
    publishMany(gh, 250);
    expect((await openOn(gh).registry.latest(c)).release?.tag).toBe("v2.0.0");
    expect(listed(gh)).toBe(3);
  });

  test("an idle poll of many pages is one 304, and gives the same answer", async () => {
    await using gh = await start();
    publishMany(gh, 250);
    const { registry } = openOn(gh);
    const first = await registry.latest(c);
    const before = gh.requests.length;
    expect(await registry.latest(c)).toBe(first);
    expect(gh.requests.slice(before).map((seen) => seen.status)).toEqual([304]);
  });

  test("the release in use is watched on its own page", async () => {
    await using gh = await start();
    gh.publish({ tag: "v2.0.0", files, createdAt: new Date(Date.UTC(2020, 0, 1)) });
    publishMany(gh, 120);
    const { registry } = openOn(gh);
    await registry.latest(c);
    gh.remove("v2.0.0");
    expect((await registry.latest(c)).release?.tag).toBe("v1.0.119");
  });

  test("what changes elsewhere is seen by the full pass after ten minutes", async () => {
    await using gh = await start();
    gh.publish({ tag: "v2.0.0", files, prerelease: true, createdAt: new Date(Date.UTC(2020, 0, 1)) });
    publishMany(gh, 120);
    const clock = new FakeClock();
    const { registry } = openOn(gh, undefined, { clock });
    await registry.latest(c);
    gh.publish({ tag: "v2.0.0", prerelease: false });
    expect((await registry.latest(c)).release?.tag).toBe("v1.0.119");
    await clock.advance(10 * 60_000);
    expect((await registry.latest(c)).release?.tag).toBe("v2.0.0");
  });

  test("a pass that broke off is made good by the next poll", async () => {
    await using gh = await start();
    publishMany(gh, 120);
    const clock = new FakeClock();
    const { registry } = openOn(gh, undefined, { clock });
    await registry.latest(c);
    gh.publish({ tag: "v1.1.0", files });
    gh.fail({ reply: { status: 500 } }, { path: /page=2/ });
    await expect(registry.latest(c)).rejects.toMatchObject({ code: "http-status" });
    await clock.advance(5000);
    expect((await registry.latest(c)).release?.tag).toBe("v1.1.0");
  });

  test("pages too large to read are asked for in smaller ones", async () => {
    await using gh = await start();
    publishMany(gh, 40);
    gh.fail(
      { reply: { status: 200, body: " ".repeat(33 * 1024 * 1024) } },
      { path: /per_page=100/, times: 9 },
    );
    expect((await openOn(gh).registry.latest(c)).release?.tag).toBe("v1.0.39");
  });

  test("a next page on another origin is refused, and gets no token", async () => {
    await using gh = await start();
    await using thief = await HttpHost.start(() => ({ status: 200, body: "[]" }));
    const headers = { Link: `<${thief.origin}/releases?page=2>; rel="next"` };
    gh.fail({ reply: { status: 200, headers, body: "[]" } });
    await expect(openOn(gh).registry.latest(c)).rejects.toMatchObject({ code: "bad-answer" });
    expect(thief.requests).toEqual([]);
  });

  test("drafts, GitHub's pre-releases and unfinished uploads do not count", async () => {
    await using gh = await start();
    gh.publish({ tag: "v1.0.0", files, states: { "app_linux_amd64.tar.gz": "starter" } });
    gh.publish({ tag: "v1.1.0", files, prerelease: true });
    gh.publish({ tag: "v1.2.0", files, draft: true });
    expect((await openOn(gh).registry.latest(c)).release).toMatchObject({ tag: "v1.0.0", artifact: null });
    const policy = { ...stable, preRelease: true };
    expect((await openOn(gh, undefined, { policy }).registry.latest(c)).release?.tag).toBe("v1.1.0");
  });

  test.each([
    ["artifact= names the file", "?artifact=other.zip", {}],
    ["GITHUB_ARTIFACT names the file", "", { GITHUB_ARTIFACT: "other.zip" }],
    ["artifact= comes before GITHUB_ARTIFACT", "?artifact=other.zip", { GITHUB_ARTIFACT: "x" }],
  ])("%s", async (_, query, env) => {
    await using gh = await start();
    gh.publish({ tag: "v1.0.0", files: { ...files, "other.zip": "zip" } });
    const { registry } = openOn(gh, { GH_TOKEN: "t", ...env }, { query });
    expect((await registry.latest(c)).release?.artifact?.name).toBe("other.zip");
  });

  test("a repository that can't be seen: what to check", async () => {
    await using gh = await start({ private: true });
    const error = await openOn(gh, {})
      .registry.latest(c)
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "not-found", hint: expect.stringContaining("GH_TOKEN") });
  });

  test("an answer of another shape is a bad answer that names the field", async () => {
    await using gh = await start();
    gh.fail({ reply: { status: 200, body: '[{"tag_name":1}]' } });
    const error = await openOn(gh)
      .registry.latest(c)
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "bad-answer", message: expect.stringContaining("0.tag_name") });
  });
});

describe("without a token", () => {
  test("the interval is stretched to the limit, told once", async () => {
    await using gh = await start();
    gh.publish({ tag: "v1.0.0", files });
    const warned: unknown[] = [];
    const log = { ...silentLog, warn: (message: string) => void warned.push(message) };
    const { registry } = openOn(gh, {}, { log });
    expect(registry.minIntervalMs()).toBeGreaterThan(60_000);
    await registry.latest(c);
    await registry.latest(c);
    expect(warned).toEqual(["GitHub polled without a token"]);
    expect(registry.minIntervalMs()).toBeGreaterThan(60_000);
    expect(registry.minIntervalMs()).toBeLessThan(90_000);
  });

  test("with a token there is no limit to keep to", async () => {
    await using gh = await start();
    const { registry } = openOn(gh);
    await registry.latest(c);
    expect(registry.minIntervalMs()).toBe(0);
  });

  test("a day of polls at that interval, with 250 releases and a deploy an hour, is never refused", async () => {
    const clock = new FakeClock();
    await using gh = await start({ now: () => clock.now() });
    for (let n = 0; n < 250; n++) {
      gh.publish({ tag: `v1.0.${n}`, files, createdAt: new Date(Date.UTC(2026, 0, 1) + n * 60_000) });
    }
    const { registry, source } = openOn(gh, {}, { clock });
    for (let hour = 0; hour < 24; hour++) {
      gh.resetLimit();
      const endMs = clock.monotonicMs() + 3_600_000;
      const { release } = await registry.latest(c);
      if (!release?.artifact) throw new Error("no artifact");
      await Array.fromAsync((await source.open(release.artifact, null, c)).chunks);
      while (clock.monotonicMs() + registry.minIntervalMs() < endMs) {
        await clock.advance(registry.minIntervalMs());
        await registry.latest(c);
      }
      await clock.advance(endMs - clock.monotonicMs());
    }
    expect(gh.requests.filter((seen) => seen.status === 403)).toEqual([]);
  });
});
