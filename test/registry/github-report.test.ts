import { describe, expect, test } from "bun:test";
import type { DeployRecord } from "../../src/release/release.ts";
import { HttpHost } from "../support/http-host.ts";
import { c, files, openOn, start } from "./github-fixture.ts";

describe("reports", () => {
  const record: DeployRecord = {
    id: "1",
    host: "Web_1/x",
    command: "server",
    tag: "v1.0.0",
    digest: null,
    fromTag: null,
    startedAt: "2026-11-21T09:36:40Z",
    finishedAt: "2026-11-21T09:36:46.123Z",
    durationMs: 6123,
    result: "deployed",
  };

  test("the name says where, how and when", async () => {
    await using gh = await start();
    gh.publish({ tag: "v1.0.0", files });
    await openOn(gh).registry.report(record, c);
    expect(gh.reports("v1.0.0").map((report) => report.name)).toEqual([
      "shipped_to_web-1-x_server_at_20261121T093646.123000000Z.txt",
    ]);
  });

  test("a token that may only read: unauthorized, with what to do; polling goes on", async () => {
    await using gh = await start({ readOnlyTokens: ["ro"] });
    gh.publish({ tag: "v1.0.0", files });
    const { registry } = openOn(gh, { GH_TOKEN: "ro" });
    const error = await registry.report(record, c).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "unauthorized", hint: expect.stringContaining("--no-report") });
    expect((await registry.latest(c)).release?.tag).toBe("v1.0.0");
  });

  test("an upload address on a foreign host gets no token", async () => {
    await using thief = await HttpHost.start(() => ({ status: 201, body: "{}" }));
    await using gh = await start({ uploadOrigin: thief.origin });
    gh.publish({ tag: "v1.0.0", files });
    await expect(openOn(gh).registry.report(record, c)).rejects.toMatchObject({ code: "bad-answer" });
    expect(thief.requests).toEqual([]);
  });

  test("another 422 is a failure", async () => {
    await using gh = await start();
    gh.publish({ tag: "v1.0.0", files });
    gh.fail({ reply: { status: 422, body: "{}" } }, { path: /uploads/ });
    await expect(openOn(gh).registry.report(record, c)).rejects.toMatchObject({ code: "http-status" });
  });
});
