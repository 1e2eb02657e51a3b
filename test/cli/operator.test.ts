import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ContainerView, StatusView } from "../../src/admin/protocol.ts";
import { writeAdminRecord } from "../../src/admin/record.ts";
import { AdminServer } from "../../src/admin/server.ts";
import type { AgentView } from "../../src/agent/orders/operations.ts";
import { layoutOf } from "../../src/cli/run/layout.ts";
import { writeAgentRecord } from "../../src/control/record.ts";
import { DewyError } from "../../src/errors.ts";
import { silentLog } from "../../src/log.ts";
import { anyPort, containerView, statusView } from "../admin/fixture.ts";
import { ScriptedOperations, view } from "../control/fixture.ts";
import { HttpHost } from "../support/http-host.ts";
import { tempDir } from "../support/temp-dir.ts";
import { agentDir, operate, writeState } from "./operator-support.ts";

const holder = "pid 4711, dewy container, since 2026-11-21T09:00:00.000Z";
const serverHolder = "pid 1, dewy server, since 2026-11-21T09:00:00.000Z";

const status = (root: string) => operate({ kind: "status", root });

async function statusJson(root: string): Promise<Record<string, unknown>> {
  const { out } = await operate({ kind: "status", root, json: true });
  expect(out.replaceAll("\n", "")).not.toMatch(/[\p{C}\u2028\u2029]/u);
  return JSON.parse(out);
}

function answering(changes: Partial<AgentView> = {}): ScriptedOperations {
  const operations = new ScriptedOperations();
  operations.now = { ...view, ...changes };
  return operations;
}

const container = (): ScriptedOperations =>
  answering({
    command: "container",
    app: { kind: "serving", pid: null, generation: null, replicas: 3, inRotation: 1 },
  });

/** The admin API of the directory's agent, and the record of where it is. */
function agentApi(root: string, containers: readonly ContainerView[], changes: Partial<StatusView> = {}) {
  const shown = { ...statusView, root, ...changes };
  const admin = AdminServer.open(anyPort, { containers: () => containers, status: () => shown }, silentLog);
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

describe("the exit code of the status", () => {
  test.each<[string, Partial<AgentView>, number, RegExp]>([
    ["all is well", {}, 0, /^State +serving v1\.2\.3$/],
    [
      "the app is down",
      { app: { kind: "down", reason: "it exited with 3" } },
      4,
      /^State +DOWN: it exited with 3$/,
    ],
    ["it starts", { app: { kind: "starting" } }, 0, /^State +starting v1\.2\.3$/],
    ["nothing is deployed", { current: null, app: { kind: "idle" } }, 0, /^State +nothing is deployed yet$/],
    ["files are in place", { command: "assets", app: { kind: "idle" } }, 0, /^State +v1\.2\.3 is in place$/],
    [
      "deploys fail",
      {
        failure: {
          tag: "v2.0.0",
          fingerprint: "f",
          count: 3,
          lastError: "no",
          at: view.startedAt,
          nextTryAt: view.startedAt,
        },
      },
      0,
      /^State +serving v1\.2\.3$/,
    ],
    [
      "replicas are missing",
      { app: { kind: "serving", pid: null, generation: null, replicas: 3, inRotation: 2 } },
      0,
      /^State +serving v1\.2\.3 with 2 of 3 replicas$/,
    ],
  ])("where %s", async (_, changes, code, line) => {
    await using dir = await agentDir(serverHolder, answering(changes));
    const shown = await status(dir.root);
    expect(shown.code).toBe(code);
    expect(shown.lines[0]).toMatch(line);
    expect((await statusJson(dir.root))["health"]).toBe(code === 0 ? "well" : "down");
  });

  test("is 4 where the agent has ended, and says what was deployed last", async () => {
    await using dir = await agentDir(serverHolder);
    writeState(dir.layout.state, { current: view.current });
    await dir.endAgent();
    const { code, lines } = await status(dir.root);
    expect({ code, line: lines[0] }).toEqual({
      code: 4,
      line: "State      NO AGENT runs here; v1.2.3 was deployed last",
    });
    expect(await statusJson(dir.root)).toMatchObject({ health: "no-agent", agent: null, version: null });
  });

  test("is 4 where the agent can't be asked, and says why", async () => {
    await using dir = await agentDir(serverHolder);
    const { code, lines } = await status(dir.root);
    expect(code).toBe(4);
    expect(lines[0]).toContain("DOES NOT ANSWER");
    expect(lines).toContain("           it has no control socket; its log says why");
    expect(await statusJson(dir.root)).toMatchObject({ health: "silent", agent: serverHolder });
  });

  test("is 1 where no agent has run", async () => {
    using dir = tempDir();
    expect(await status(dir.path)).toMatchObject({
      code: 1,
      error: { code: "config-invalid", message: `no agent has run in ${dir.path}` },
    });
  });
});

describe("the status of a container agent", () => {
  test("shows its replicas, how many serve, and what is wrong", async () => {
    await using dir = await agentDir(holder, container());
    await using _api = agentApi(dir.root, [containerView(), sick], { trouble: "it exited with code 137" });
    const { code, lines } = await status(dir.root);
    expect(code).toBe(0);
    expect(lines[0]).toBe("State      serving v1.2.3 with 1 of 3 replicas");
    expect(lines).toContain(`Directory  ${dir.root}`);
    expect(lines).toContain("Replicas   1 of 3 serve");
    expect(lines).toContain("Trouble    it exited with code 137");
    expect(lines.slice(-4)).toEqual([
      "",
      "NAME                  VERSION    STATE      ADDRESS            CONNECTIONS    LAST CHECK",
      "shop-1736936999-0     v1.2.3     serving    127.0.0.1:49152    7              GET http://127.0.0.1:49152/up: 200",
      "shop-1736936999-12    v1.2.3     sick       127.0.0.1:49153    0              GET http://127.0.0.1:49153/up: 503",
    ]);
  });

  test("has the same as fields", async () => {
    await using dir = await agentDir(holder, container());
    await using api = agentApi(dir.root, [sick], { trouble: "no engine" });
    expect(await statusJson(dir.root)).toMatchObject({
      root: dir.root,
      health: "well",
      agent: holder,
      problem: null,
      command: "container",
      version: "v0.1.0",
      current: view.current,
      processes: [],
      quarantine: [],
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
    await using dir = await agentDir(holder, container());
    {
      await using _api = agentApi(dir.root, [containerView({ address: null, state: "starting" })]);
      expect((await status(dir.root)).lines.at(-1)).toMatch(/starting {4}- {10}7/);
    }
    await using _api = agentApi(dir.root, []);
    expect((await status(dir.root)).out).not.toContain("NAME");
  });

  test("is found through a link to the directory", async () => {
    await using dir = await agentDir(holder, container());
    await using _api = agentApi(dir.root, []);
    using other = tempDir();
    const link = join(other.path, "link");
    symlinkSync(dir.root, link);
    expect((await status(link)).lines).toContain("Replicas   0 of 3 serve");
  });

  test("shows nothing that a terminal would act on", async () => {
    const hostile = "\u001b]0;x\u0007\u009b2J\u202e\nState      all is well";
    const quarantine = [
      { tag: hostile, digest: null, fingerprint: "f", reason: hostile, at: view.startedAt },
    ];
    await using dir = await agentDir(
      "pid 1\u001b[2J, dewy container, since",
      answering({ quarantine, lastError: { at: view.startedAt, message: hostile } }),
    );
    await using _api = agentApi(dir.root, [containerView({ seen: hostile, version: hostile })], {
      trouble: hostile,
    });
    const { lines } = await status(dir.root);
    for (const line of lines) expect(line).not.toMatch(/[\p{C}\u2028\u2029]/u);
    expect(lines.filter((line) => line.startsWith("State"))).toHaveLength(1);
    expect(await statusJson(dir.root)).toMatchObject({ trouble: hostile });
  });
});

describe("an admin API that does not say how it is", () => {
  const replicasOf = async (root: string) =>
    (await status(root)).lines.filter((line) => /^(Replicas|Trouble)/.test(line));

  test("because nothing listens any more is named so", async () => {
    await using dir = await agentDir(holder, container());
    const api = agentApi(dir.root, []);
    const { port } = api;
    await api[Symbol.asyncDispose]();
    expect(await replicasOf(dir.root)).toEqual([`Replicas   not known: nothing listens on port ${port}`]);
  });

  test("because it hangs is named so, soon", async () => {
    await using dir = await agentDir(holder, container());
    await using silent = await HttpHost.start(() => ({ status: 200 }));
    silent.fail({ hang: true }, { times: 2 });
    const port = Number(new URL(silent.origin).port);
    writeAdminRecord(dir.layout.admin, { port, pid: 4711 });
    expect(await replicasOf(dir.root)).toEqual([`Replicas   not known: no answer on port ${port} within 1s`]);
  });

  test.each<[string, Partial<StatusView>]>([
    ["another process", { pid: 4712 }],
    ["another directory", { root: "/srv/blog" }],
  ])("because its port is that of %s by now shows nothing of it", async (_, changes) => {
    await using dir = await agentDir(holder, container());
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
    await using dir = await agentDir(holder, container());
    writeFileSync(dir.layout.admin, "{");
    expect(await replicasOf(dir.root)).toEqual([
      `Replicas   not known: ${dir.layout.admin} does not say where the agent answers`,
    ]);
  });

  test("because there is none is named so for containers, and needs no word for others", async () => {
    await using containers = await agentDir(holder, container());
    expect(await replicasOf(containers.root)).toEqual([
      "Replicas   not known: the agent has no admin API; its log says why",
    ]);
    await using server = await agentDir(serverHolder, answering());
    expect(await replicasOf(server.root)).toEqual([]);
    expect(await statusJson(server.root)).toMatchObject({ admin: null, replicas: null });
  });

  test("because its agent has ended is not asked", async () => {
    await using dir = await agentDir(holder);
    await using _api = agentApi(dir.root, [containerView()], { trouble: "x" });
    await dir.endAgent();
    expect((await status(dir.root)).lines).toContain("Agent      not running");
    expect(await replicasOf(dir.root)).toEqual([]);
    expect(await statusJson(dir.root)).toMatchObject({ agent: null, admin: null, containers: [] });
  });
});

test("why a release does not run is said once", async () => {
  const at = view.startedAt;
  const reason = "it exited with 3";
  const changes = {
    waiting: { tag: "v2.0.0", reason: `v2.0.0 is quarantined: ${reason}`, until: null },
    quarantine: [{ tag: "v2.0.0", digest: null, fingerprint: "f", reason, at }],
    lastError: { at, message: reason },
  };
  await using dir = await agentDir(serverHolder, answering(changes));
  expect((await status(dir.root)).out.split(reason)).toHaveLength(2);
  await using other = await agentDir(
    serverHolder,
    answering({
      waiting: { ...changes.waiting, reason: "v2.0.0 waits for a window" },
      lastError: changes.lastError,
    }),
  );
  const { lines } = await status(other.root);
  expect(lines).toContain("Waiting    v2.0.0 waits for a window");
  expect(lines.at(-1)).toMatch(/^Last error .*: it exited with 3$/);
});

test("a notifier whose notices wait is shown, with the reason; one that is well is a field alone", async () => {
  const notifiers = [
    { name: "slack://ops", waiting: 3, problem: "slack.com refused the token" },
    { name: "smtp://mail:587/a@b.c", waiting: 1, problem: null },
    { name: "webhook+https://h/…", waiting: 0, problem: null },
  ];
  await using dir = await agentDir(serverHolder, answering({ notifiers }));
  const { lines } = await status(dir.root);
  expect(lines.filter((line) => line.startsWith("Notifier"))).toEqual([
    "Notifier   slack://ops: 3 notices wait: slack.com refused the token",
    "Notifier   smtp://mail:587/a@b.c: 1 notice waits",
  ]);
  expect(await statusJson(dir.root)).toMatchObject({ notifiers });
});

test("what lies on disk is shown where no agent answers", async () => {
  await using dir = await agentDir(serverHolder);
  writeState(dir.layout.state, {
    current: view.current,
    previous: { ...view.current, tag: "v1.2.2", release: "20261120T090000Z" },
    quarantine: [{ tag: "v3.0.0", digest: null, fingerprint: "f", reason: "exited", at: "T1" }],
    failure: { tag: "v4.0.0", fingerprint: "f", count: 2, lastError: "no", at: "T2", nextTryAt: "T3" },
    hold: { since: "T4", until: null, reason: "incident 42", left: null },
  });
  const { out } = await status(dir.root);
  for (const line of [
    "Current    v1.2.3 (20261121T090000Z), since 2026-11-21 ",
    "Previous   v1.2.2 (20261120T090000Z)\n",
    "Held       by an operator: incident 42; since T4\n",
    "Quarantine v3.0.0, since T1: exited\n",
    "           `dewy retry` lifts the quarantine\n",
    "Failing    v4.0.0, 2 times: no\n           next try T3\n",
  ]) {
    expect(out).toContain(line);
  }
});

describe("an order", () => {
  const restart = { kind: "order", order: { kind: "restart" } } as const;

  test("shows its progress on stderr and its end on stdout", async () => {
    const operations = new ScriptedOperations(async (_, onProgress) => {
      onProgress({ kind: "waiting", for: "a deploy of v2.0.0" });
      onProgress({ kind: "step", step: "begun" });
      return { message: "Restarted v1.2.3" };
    });
    await using dir = await agentDir(serverHolder, operations);
    const { code, out, err } = await operate({ ...restart, root: dir.root });
    expect({ code, out }).toEqual({ code: 0, out: "Restarted v1.2.3\n" });
    expect(err).toMatch(/^Waiting for a deploy of v2\.0\.0 to end\.\n +\d+\.\ds {2}begun\n$/);
  });

  test("with --json is an object, its error too", async () => {
    let fails = false;
    const operations = new ScriptedOperations(async (_, onProgress) => {
      onProgress({ kind: "step", step: "begun" });
      if (fails) throw new DewyError("start-failed", "it exited", { hint: "see its log" });
      return { message: "Restarted" };
    });
    await using dir = await agentDir(serverHolder, operations);
    const done = await operate({ ...restart, root: dir.root, json: true });
    expect(done).toMatchObject({ code: 0, err: "" });
    expect(JSON.parse(done.out)).toEqual({ root: dir.root, message: "Restarted" });
    fails = true;
    const failed = await operate({ ...restart, root: dir.root, json: true });
    expect(failed).toMatchObject({ code: 4, error: { code: "start-failed" } });
    expect(JSON.parse(failed.out)).toEqual({
      root: dir.root,
      error: { code: "start-failed", message: "it exited", hint: "see its log" },
    });
  });

  test("where no agent runs is refused with what to do", async () => {
    await using dir = await agentDir(serverHolder);
    await dir.endAgent();
    expect(await operate({ ...restart, root: dir.root })).toMatchObject({
      code: 1,
      error: { code: "no-agent", message: `no agent runs in ${dir.root}` },
    });
  });
});

describe("retry", () => {
  const retry = { kind: "order", order: { kind: "retry" } } as const;

  test("is carried out by the running agent", async () => {
    const operations = new ScriptedOperations();
    await using dir = await agentDir(serverHolder, operations);
    expect(await operate({ ...retry, root: dir.root })).toMatchObject({ code: 0, out: "Done.\n" });
    expect(operations.orders).toEqual([{ kind: "retry" }]);
    expect(existsSync(dir.layout.retryRequest)).toBe(false);
  });

  test("is left for the next agent where none runs", async () => {
    await using dir = await agentDir(serverHolder);
    await dir.endAgent();
    const { code, out } = await operate({ ...retry, root: dir.root });
    expect({ code, out }).toEqual({ code: 0, out: "The quarantine is lifted when an agent is started.\n" });
    expect(existsSync(dir.layout.retryRequest)).toBe(true);
  });

  test("that the agent refuses is not left for the next one", async () => {
    const operations = new ScriptedOperations(async () => {
      throw new DewyError("disk-full", "no room for the state");
    });
    await using dir = await agentDir(serverHolder, operations);
    expect(await operate({ ...retry, root: dir.root })).toMatchObject({
      code: 3,
      error: { code: "disk-full" },
    });
    expect(existsSync(dir.layout.retryRequest)).toBe(false);
  });

  test("is refused where no agent has run", async () => {
    using dir = tempDir();
    expect(await operate({ ...retry, root: dir.path })).toMatchObject({
      code: 1,
      error: { code: "config-invalid" },
    });
    expect(existsSync(join(dir.path, ".dewy"))).toBe(false);
  });
});

describe("check", () => {
  test("is answered by the running agent", async () => {
    const until = new Date(Date.now() + 3_600_000);
    const operations = new ScriptedOperations();
    operations.check = async () => ({
      newest: "v2.0.0",
      current: "v1.2.3",
      wouldDeploy: false,
      reason: "v2.0.0 waits for a window",
      notBefore: until,
    });
    await using dir = await agentDir(serverHolder, operations);
    const { code, lines } = await operate({ kind: "check", alone: false, root: dir.root, from: null });
    expect(code).toBe(0);
    expect(lines.slice(0, 3)).toEqual([
      "Newest     v2.0.0",
      "Current    v1.2.3",
      "Deploy     no: v2.0.0 waits for a window",
    ]);
    expect(lines[3]).toMatch(/^Not before 20\d\d-.* \(in (1h|59m 59s)\)$/);
    const { out } = await operate({ kind: "check", alone: false, root: dir.root, from: null, json: true });
    expect(JSON.parse(out)).toMatchObject({
      root: dir.root,
      wouldDeploy: false,
      notBefore: until.toISOString(),
    });
  });

  test("is not answered by the agent where it is to be from here", async () => {
    await using dir = await agentDir(serverHolder, new ScriptedOperations());
    const request = { kind: "check", root: dir.root, from: null } as const;
    expect((await operate({ ...request, alone: false })).code).toBe(0);
    expect((await operate({ ...request, alone: true })).error?.message).toStartWith("nobody knows");
  });

  test("asks what the last agent watched where none runs, and changes nothing on disk", async () => {
    await using dir = await agentDir(serverHolder);
    using registry = tempDir();
    mkdirSync(join(registry.path, "v2.0.0"));
    writeFileSync(join(registry.path, "v2.0.0", "app_linux_amd64.tar.gz"), "x");
    writeFileSync(join(registry.path, "v2.0.0", "app_linux_arm64.tar.gz"), "x");
    writeState(dir.layout.state, {});
    writeAgentRecord(dir.layout.agent, {
      command: "server",
      registry: `file://${registry.path}`,
      calver: null,
      slot: null,
      setup: "",
      schedule: { windows: [], minAgeMs: 0, jitterMs: 0 },
    });
    await dir.endAgent();
    const before = filesUnder(dir.root);
    const { code, lines } = await operate({ kind: "check", alone: false, root: dir.root, from: null });
    expect({ code, lines }).toEqual({
      code: 0,
      lines: [
        "Newest     v2.0.0",
        "Current    nothing deployed",
        "Deploy     yes: v2.0.0 is to be deployed",
        "Asked      from here, as the last agent did",
      ],
    });
    expect(filesUnder(dir.root)).toEqual(before);
    writeAgentRecord(dir.layout.agent, {
      command: "server",
      registry: `file://${registry.path}`,
      calver: null,
      slot: null,
      setup: "",
      schedule: { windows: [], minAgeMs: 7 * 86_400_000, jitterMs: 0 },
    });
    expect((await operate({ kind: "check", alone: false, root: dir.root, from: null })).lines[2]).toContain(
      "--min-age",
    );
  });

  test("of a registry that is named needs no agent, and leaves no trace", async () => {
    using dir = tempDir();
    using registry = tempDir();
    const from = { registry: `file://${registry.path}`, calver: null, slot: null };
    const { lines } = await operate({ kind: "check", alone: true, root: dir.path, from });
    expect(lines[0]).toBe("Newest     no release for this host");
    expect(existsSync(join(dir.path, ".dewy"))).toBe(false);
  });

  test("where nobody knows the registry says what to do", async () => {
    using dir = tempDir();
    expect(await operate({ kind: "check", alone: false, root: dir.path, from: null })).toMatchObject({
      code: 1,
      error: { hint: expect.stringContaining("--registry") },
    });
  });
});

function filesUnder(root: string): string[] {
  return [...new Bun.Glob("**/*").scanSync({ cwd: root, dot: true })].sort();
}
