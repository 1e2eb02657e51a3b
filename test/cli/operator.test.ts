import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { ContainerView, StatusView } from "../../src/admin/protocol.ts";
import { writeAdminRecord } from "../../src/admin/record.ts";
import { AdminServer } from "../../src/admin/server.ts";
import { acquireLock } from "../../src/agent/lock.ts";
import { layoutOf, prepareLayout } from "../../src/cli/layout.ts";
import { requestRetry, showStatus } from "../../src/cli/operator.ts";
import { silentLog } from "../../src/log.ts";
import { anyPort, containerView, statusView } from "../admin/fixture.ts";
import { HttpHost } from "../support/http-host.ts";
import { tempDir } from "../support/temp-dir.ts";

const holder = "pid 4711, dewy container, since 2026-11-21T09:00:00.000Z";

async function status(root: string): Promise<{ code: number; lines: string[] }> {
  let out = "";
  const code = await showStatus(root, false, (text) => {
    out += text;
  });
  expect(out).toEndWith("\n");
  return { code, lines: out.split("\n").slice(0, -1) };
}

async function statusJson(root: string): Promise<Record<string, unknown>> {
  let out = "";
  const code = await showStatus(root, true, (text) => {
    out += text;
  });
  expect(code).toBe(0);
  expect(out.replaceAll("\n", "")).not.toMatch(/[\p{C}\u2028\u2029]/u);
  return JSON.parse(out);
}

/** A directory whose agent runs, as far as its lock says. */
function agentDir(who = holder) {
  const dir = tempDir();
  const agent = new DisposableStack();
  agent.use(acquireLock(prepareLayout(dir.path).lock, who));
  return {
    root: dir.path,
    layout: layoutOf(dir.path),
    endAgent: () => agent.dispose(),
    [Symbol.dispose]() {
      agent.dispose();
      dir[Symbol.dispose]();
    },
  };
}

/** The admin API of the directory's agent, and the record of where it is. */
function agentApi(root: string, containers: readonly ContainerView[], changes: Partial<StatusView> = {}) {
  const view = { ...statusView, root, ...changes };
  const admin = AdminServer.open(anyPort, { containers: () => containers, status: () => view }, silentLog);
  writeAdminRecord(layoutOf(root).admin, { port: admin.port, pid: statusView.pid });
  return admin;
}

const sick = containerView({
  id: "ef".repeat(32),
  name: "shop-1736936999-12",
  state: "sick",
  seen: "GET http://127.0.0.1:49153/up: 503",
  address: "127.0.0.1:49153",
  connections: 0,
});

describe("the status of a container agent", () => {
  test("shows its replicas, how many serve, and what is wrong", async () => {
    using dir = agentDir();
    await using _api = agentApi(dir.root, [containerView(), sick], { trouble: "it exited with code 137" });
    expect(await status(dir.root)).toEqual({
      code: 0,
      lines: [
        `Directory  ${dir.root}`,
        `Agent      ${holder}`,
        "Current    nothing deployed",
        "Replicas   1 of 3 serve",
        "Trouble    it exited with code 137",
        "",
        "NAME                  VERSION    STATE      ADDRESS            CONNECTIONS    LAST CHECK",
        "shop-1736936999-0     v1.2.3     serving    127.0.0.1:49152    7              GET http://127.0.0.1:49152/up: 200",
        "shop-1736936999-12    v1.2.3     sick       127.0.0.1:49153    0              GET http://127.0.0.1:49153/up: 503",
      ],
    });
  });

  test("says nothing of trouble when all is well", async () => {
    using dir = agentDir();
    await using _api = agentApi(dir.root, [containerView()], { desiredReplicas: 1 });
    const { lines } = await status(dir.root);
    expect(lines).toContain("Replicas   1 of 1 serve");
    expect(lines.join()).not.toContain("Trouble");
  });

  test("has the same as fields", async () => {
    using dir = agentDir();
    await using api = agentApi(dir.root, [sick], { trouble: "no engine" });
    expect(await statusJson(dir.root)).toEqual({
      root: dir.root,
      agent: holder,
      current: null,
      previous: null,
      processes: [],
      quarantine: [],
      failure: null,
      admin: { port: api.port, problem: null },
      replicas: { wanted: 3, serving: 0 },
      containers: [
        {
          id: "ef".repeat(32),
          name: "shop-1736936999-12",
          version: "v1.2.3",
          state: "sick",
          address: "127.0.0.1:49153",
          connections: 0,
          seen: "GET http://127.0.0.1:49153/up: 503",
        },
      ],
      trouble: "no engine",
    });
  });

  test("shows a replica without an address, and no table without replicas", async () => {
    using dir = agentDir();
    {
      await using _api = agentApi(dir.root, [containerView({ address: null, state: "starting" })]);
      expect((await status(dir.root)).lines.at(-1)).toMatch(/starting {4}- {10}7/);
    }
    await using _api = agentApi(dir.root, []);
    expect((await status(dir.root)).lines.at(-1)).toBe("Replicas   0 of 3 serve");
  });

  test("is found through a link to the directory", async () => {
    using dir = agentDir();
    await using _api = agentApi(dir.root, []);
    using other = tempDir();
    const link = join(other.path, "link");
    symlinkSync(dir.root, link);
    expect((await status(link)).lines).toContain("Replicas   0 of 3 serve");
  });

  test("shows nothing that a terminal would act on", async () => {
    using dir = agentDir("pid 1\u001b[2J, dewy container, since");
    const hostile = "\u001b]0;x\u0007\u009b2J\u202e\nAgent      all is well";
    await using _api = agentApi(dir.root, [containerView({ seen: hostile, version: hostile })], {
      trouble: hostile,
    });
    const quarantined = { tag: hostile, digest: null, fingerprint: "f", reason: hostile, at: "now" };
    writeState(dir.layout.state, { quarantine: [quarantined] });
    const { lines } = await status(dir.root);
    for (const line of lines) expect(line).not.toMatch(/[\p{C}\u2028\u2029]/u);
    expect(lines).not.toContain("Agent      all is well");
    expect(lines.filter((line) => line.startsWith("Trouble"))).toHaveLength(1);
    expect(await statusJson(dir.root)).toMatchObject({ trouble: hostile });
  });
});

describe("an agent that does not say how it is", () => {
  const replicasOf = async (root: string) => {
    const { code, lines } = await status(root);
    expect(code).toBe(0);
    return lines.filter((line) => /^(Replicas|Trouble)/.test(line));
  };

  test("because nothing listens any more is named so", async () => {
    using dir = agentDir();
    const api = agentApi(dir.root, []);
    const { port } = api;
    await api[Symbol.asyncDispose]();
    expect(await replicasOf(dir.root)).toEqual([`Replicas   not known: nothing listens on port ${port}`]);
  });

  test("because it hangs is named so, soon", async () => {
    using dir = agentDir();
    await using silent = await HttpHost.start(() => ({ status: 200 }));
    silent.fail({ hang: true }, { times: 2 });
    const port = Number(new URL(silent.origin).port);
    writeAdminRecord(dir.layout.admin, { port, pid: 4711 });
    const startedMs = performance.now();
    expect(await replicasOf(dir.root)).toEqual([`Replicas   not known: no answer on port ${port} within 1s`]);
    expect(performance.now() - startedMs).toBeLessThan(3000);
  });

  test.each<[string, Partial<StatusView>]>([
    ["another process", { pid: 4712 }],
    ["another directory", { root: "/srv/blog" }],
  ])("because its port is that of %s by now shows nothing of it", async (_, changes) => {
    using dir = agentDir();
    await using api = agentApi(dir.root, [containerView()], changes);
    const root = changes.root ?? dir.root;
    const problem = `what answers is another agent, of ${root}`;
    expect(await replicasOf(dir.root)).toEqual([`Replicas   not known: ${problem}`]);
    expect(await statusJson(dir.root)).toMatchObject({
      admin: { port: api.port, problem },
      replicas: null,
      containers: [],
      trouble: null,
    });
  });

  test("because its record is spoilt is named so", async () => {
    using dir = agentDir();
    writeFileSync(dir.layout.admin, "{");
    expect(await replicasOf(dir.root)).toEqual([
      `Replicas   not known: ${dir.layout.admin} does not say where the agent answers`,
    ]);
  });

  test("because it has no admin API is named so", async () => {
    using dir = agentDir();
    expect(await replicasOf(dir.root)).toEqual([
      "Replicas   not known: the agent has no admin API; its log says why",
    ]);
  });

  test("because it runs no containers needs no word", async () => {
    using dir = agentDir("pid 1, dewy server, since 2026-11-21T09:00:00.000Z");
    expect(await replicasOf(dir.root)).toEqual([]);
    expect(await statusJson(dir.root)).toMatchObject({ admin: null, replicas: null });
  });

  test("because it has ended is not asked", async () => {
    using dir = agentDir();
    await using _api = agentApi(dir.root, [containerView()], { trouble: "x" });
    dir.endAgent();
    expect((await status(dir.root)).lines).toContain("Agent      not running");
    expect(await replicasOf(dir.root)).toEqual([]);
    expect(await statusJson(dir.root)).toMatchObject({ agent: null, admin: null, containers: [] });
  });
});

describe("what lies on disk", () => {
  test("is shown as it was", async () => {
    using dir = agentDir("pid 1, dewy server, since 2026-11-21T09:00:00.000Z");
    const placed = (tag: string, release: string) => ({
      tag,
      digest: null,
      artifact: "a.tar.gz",
      release,
      since: "2026-11-21T09:00:00.000Z",
    });
    writeState(dir.layout.state, {
      current: placed("v2.0.0", "20261121T090000Z"),
      previous: placed("v1.0.0", "20261120T090000Z"),
      quarantine: [{ tag: "v3.0.0", digest: null, fingerprint: "f", reason: "exited", at: "T1" }],
      failure: { tag: "v4.0.0", fingerprint: "f", count: 2, lastError: "no", at: "T2", nextTryAt: "T3" },
    });
    expect((await status(dir.root)).lines.slice(2)).toEqual([
      "Current    v2.0.0, since 2026-11-21T09:00:00.000Z (20261121T090000Z)",
      "Previous   v1.0.0 (20261120T090000Z)",
      "Quarantine v3.0.0, since T1: exited",
      "Failing    v4.0.0, 2 times: no",
      "           next try T3",
      "           `dewy retry` lifts the quarantine",
    ]);
  });

  test("is missing where no agent has run", async () => {
    using dir = tempDir();
    const refusal = { code: "config-invalid", message: `no agent has run in ${dir.path}` };
    expect(await showStatus(dir.path, false, () => undefined).catch((error) => error)).toMatchObject(refusal);
    expect(() => requestRetry(dir.path, () => undefined)).toThrow(expect.objectContaining(refusal));
  });

  test("takes a request to retry", () => {
    using dir = agentDir();
    let out = "";
    const code = requestRetry(dir.root, (text) => {
      out += text;
    });
    expect(code).toBe(0);
    expect(out).toBe("Quarantine is lifted at the agent's next check.\n");
    expect(existsSync(dir.layout.retryRequest)).toBe(true);
  });
});

function writeState(path: string, changes: Record<string, unknown>): void {
  mkdirSync(dirname(path), { recursive: true });
  const empty = { current: null, previous: null, quarantine: [], failure: null };
  const rest = { version: 1, attempt: null, unreported: null, releases: {} };
  writeFileSync(path, JSON.stringify({ ...rest, ...empty, ...changes }));
}
