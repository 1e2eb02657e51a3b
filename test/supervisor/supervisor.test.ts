import { describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { listeningInodes } from "../../src/supervisor/listening.ts";
import { commandName, processGroup } from "../../src/util/procfs.ts";
import { AppHost, groupIsGone, pidOf, shellApps, sleeps } from "../support/app-host.ts";
import { startLoad } from "../support/load.ts";
import { until } from "../support/until.ts";

const c = { signal: new AbortController().signal };

describe("starting", () => {
  test("the first release: prepared, started, proved, committed", async () => {
    await using host = new AppHost();
    await using supervisor = await host.open();
    const change = host.change(host.shellRelease("v1", shellApps.stays), null);
    expect(await supervisor.replace(change, c)).toBe("started");
    expect(supervisor.state).toMatchObject({ kind: "running", release: "v1", current: { number: 1 } });
    expect(host.steps).toEqual(["prepare", "commit"]);
    expect(host.record.read()?.generations).toMatchObject([{ number: 1, pid: pidOf(supervisor) }]);
  });

  test("the recorded release at once, without waiting for it to prove itself", async () => {
    await using host = new AppHost();
    host.switchTo(host.shellRelease("v1", shellApps.stays));
    await using supervisor = await host.open({ minUptimeMs: 600_000 });
    expect(await supervisor.resume("v1", c)).toBe("started");
    expect(supervisor.state).toMatchObject({ kind: "running", release: "v1" });
  });

  test.each<[string, (host: AppHost) => void, string]>([
    ["is missing", () => undefined, "command not found: ./current/app"],
    [
      "has no execute bit",
      ({ root }) => chmodSync(join(root, "releases/v1/app"), 0o644),
      "command is not executable: ./current/app",
    ],
    [
      "is a directory",
      ({ root }) => {
        rmSync(join(root, "releases/v1/app"));
        mkdirSync(join(root, "releases/v1/app"));
      },
      "command is not a file: ./current/app",
    ],
    [
      "is a script whose interpreter is missing",
      ({ root }) => writeFileSync(join(root, "releases/v1/app"), "#!/nowhere/sh\n"),
      "command can't be executed: ./current/app",
    ],
    [
      "is no program",
      ({ root }) => writeFileSync(join(root, "releases/v1/app"), "\x7fnot really ELF"),
      "command can't be executed: ./current/app",
    ],
  ])("a command that %s is the release's fault and leaves nothing behind", async (what, spoil, message) => {
    await using host = new AppHost();
    await using supervisor = await host.open();
    const change = host.change(host.shellRelease("v1", shellApps.stays), null);
    spoil(host);
    if (what === "is missing") rmSync(join(host.root, "releases/v1/app"));
    await expect(supervisor.replace(change, c)).rejects.toMatchObject({
      code: "start-failed",
      blame: "release",
      message: expect.stringContaining(message),
      hint: expect.anything(),
    });
    expect(host.steps).toEqual(["prepare", "undo"]);
    expect(supervisor.state).toEqual({ kind: "stopped" });
    expect(host.record.read()?.generations).toEqual([]);
  });

  test("a recorded release that can't be started is tried again, later and later", async () => {
    await using host = new AppHost();
    await using supervisor = await host.open();
    await supervisor.resume("v1", c);
    expect(supervisor.state).toMatchObject({ kind: "backoff", release: "v1" });
    await until("a second try", () => host.crashes.length >= 2);
    expect(host.crashes.map(({ delayMs }) => delayMs).slice(0, 2)).toEqual([200, 400]);
    host.switchTo(host.shellRelease("v1", shellApps.stays));
    await until("it runs", () => supervisor.state.kind === "running");
  });
});

describe("replacing", () => {
  test("loses no connection, kept or new", async () => {
    await using host = new AppHost();
    host.switchTo(host.httpRelease("v1"));
    for (const name of ["v2", "v3", "v4"]) host.httpRelease(name);
    await using supervisor = await host.openHttp();
    await supervisor.resume("v1", c);
    await host.serves("v1");
    const load = startLoad(host.port, { kept: 4, fresh: 4 });
    for (const [before, name] of [
      ["v1", "v2"],
      ["v2", "v3"],
      ["v3", "v4"],
    ] as const) {
      const old = pidOf(supervisor);
      expect(await supervisor.replace(host.change(name, before), c)).toBe("restarted");
      await until(`${before} is gone`, () => groupIsGone(old));
      // What is up and has not answered yet would be gone before it does.
      await until(`${name} answers`, () => load.seen().answers.has(name));
    }
    const { failures, answers } = await load.stop();
    expect(failures).toEqual([]);
    expect([...answers.keys()].sort()).toEqual(["v1", "v2", "v3", "v4"]);
    expect(supervisor.state).toMatchObject({ kind: "running", release: "v4", current: { number: 4 } });
  });

  test("by one that dies leaves the old one serving, with its release back in place", async () => {
    await using host = new AppHost();
    host.switchTo(host.httpRelease("v1"));
    host.httpRelease("v2", "process.exit(7)");
    await using supervisor = await host.openHttp({ minUptimeMs: 2000 });
    await supervisor.resume("v1", c);
    const answer = await host.serves("v1");
    await expect(supervisor.replace(host.change("v2", "v1"), c)).rejects.toMatchObject({
      code: "start-failed",
      message: "the new server exited with code 7 right after its start",
    });
    expect(host.steps).toEqual(["prepare", "undo"]);
    expect(supervisor.state).toMatchObject({ kind: "running", release: "v1" });
    expect(await host.ask()).toBe(answer);
    expect(readFileSync(join(host.root, "current/VERSION"), "utf8")).toBe("v1");
    expect(host.record.read()?.generations).toMatchObject([{ release: "v1" }]);
  });

  test.each(["prepare", "commit"] as const)("leaves the old one serving when %s fails", async (step) => {
    await using host = new AppHost();
    host.switchTo(host.shellRelease("v1", shellApps.stays));
    host.shellRelease("v2", shellApps.stays);
    await using supervisor = await host.open();
    await supervisor.resume("v1", c);
    await sleeps(supervisor);
    const old = pidOf(supervisor);
    let next: number | null = null;
    const failing = async () => {
      const { state } = supervisor;
      next = state.kind === "reloading" ? state.next.pid : null;
      throw new Error("disk full");
    };
    await expect(supervisor.replace(host.change("v2", "v1", { [step]: failing }), c)).rejects.toThrow(
      "disk full",
    );
    expect(host.steps.at(-1)).toBe("undo");
    expect(pidOf(supervisor)).toBe(old);
    expect(groupIsGone(old)).toBe(false);
    if (step === "commit") expect(groupIsGone(next ?? old)).toBe(true);
  });

  test("leaves the old one watched even when nothing can be taken back", async () => {
    await using host = new AppHost();
    host.switchTo(host.shellRelease("v1", shellApps.stays));
    host.shellRelease("v2", shellApps.dies);
    await using supervisor = await host.open();
    await supervisor.resume("v1", c);
    await sleeps(supervisor);
    const old = pidOf(supervisor);
    const undo = async () => {
      throw new Error("disk full");
    };
    await expect(supervisor.replace(host.change("v2", "v1", { undo }), c)).rejects.toMatchObject({
      code: "start-failed",
    });
    expect(host.log.at("error")).toEqual(["Failed change not taken back"]);
    expect(pidOf(supervisor)).toBe(old);
    host.switchTo("v1");
    process.kill(old, "SIGKILL");
    await until("a new one runs", () => supervisor.state.kind === "running" && pidOf(supervisor) !== old);
    expect(host.crashes).toHaveLength(1);
  });

  test("of nothing by one that dies leaves nothing running", async () => {
    await using host = new AppHost();
    await using supervisor = await host.open();
    const change = host.change(host.shellRelease("v1", shellApps.dies), null);
    await expect(supervisor.replace(change, c)).rejects.toMatchObject({ code: "start-failed" });
    expect(supervisor.state).toEqual({ kind: "stopped" });
    expect(host.crashes).toEqual([]);
  });

  test("that is aborted while the new one proves itself leaves the old one alone", async () => {
    await using host = new AppHost();
    host.switchTo(host.shellRelease("v1", shellApps.stays));
    host.shellRelease("v2", shellApps.stays);
    await using supervisor = await host.open({ minUptimeMs: 1500 });
    await supervisor.resume("v1", c);
    await sleeps(supervisor);
    const old = pidOf(supervisor);
    const stop = new AbortController();
    const replacing = supervisor.replace(host.change("v2", "v1"), stop);
    const next = await until(
      "the new one is up",
      () => supervisor.state.kind === "reloading" && supervisor.state.next,
    );
    stop.abort(new Error("told to stop"));
    await expect(replacing).rejects.toThrow("told to stop");
    expect(host.steps).toEqual(["prepare", "undo"]);
    expect(pidOf(supervisor)).toBe(old);
    expect(groupIsGone(next.pid)).toBe(true);
  });

  test("does not begin before the old one has been up long enough to have read its files", async () => {
    await using host = new AppHost();
    host.switchTo(host.shellRelease("v1", shellApps.stays));
    host.shellRelease("v2", shellApps.stays);
    await using supervisor = await host.open({ minUptimeMs: 400 });
    await supervisor.resume("v1", c);
    const { startedMs } = supervisor.state.kind === "running" ? supervisor.state.current : { startedMs: 0 };
    let preparedMs = 0;
    const change = host.change("v2", "v1");
    const prepare = async () => {
      preparedMs = performance.now();
      await change.prepare();
    };
    await supervisor.replace({ ...change, prepare }, c);
    expect(preparedMs - startedMs).toBeGreaterThan(399);
  });

  test("changes asked for at once happen one after the other", async () => {
    await using host = new AppHost();
    const names = ["v1", "v2", "v3"];
    for (const name of names) host.shellRelease(name, shellApps.stays);
    await using supervisor = await host.open({ minUptimeMs: 20 });
    const done = await Promise.all(names.map((name) => supervisor.replace(host.change(name, null), c)));
    expect(done).toEqual(["started", "restarted", "restarted"]);
    expect(host.steps).toEqual(["prepare", "commit", "prepare", "commit", "prepare", "commit"]);
    await until("one is left", () => host.record.read()?.generations.length === 1);
    expect(supervisor.state).toMatchObject({ kind: "running", release: "v3" });
  });

  test("keeps the old one for as long as KILL_OLD_DELAY says, but not beyond its own end", async () => {
    await using host = new AppHost();
    for (const name of ["v1", "v2"]) host.shellRelease(name, shellApps.stays);
    const supervisor = await host.open({ minUptimeMs: 20, killOldDelayMs: 600_000 });
    await supervisor.replace(host.change("v1", null), c);
    await sleeps(supervisor);
    const old = pidOf(supervisor);
    await supervisor.replace(host.change("v2", "v1"), c);
    expect(host.record.read()?.generations).toHaveLength(2);
    expect(groupIsGone(old)).toBe(false);
    await supervisor[Symbol.asyncDispose]();
    expect(groupIsGone(old)).toBe(true);
  });
});

describe("when the app dies", () => {
  test("it is started again, later and later", async () => {
    await using host = new AppHost();
    host.switchTo(host.shellRelease("v1", shellApps.dies));
    await using supervisor = await host.open();
    await supervisor.resume("v1", c);
    await until("it died three times", () => host.crashes.length >= 3);
    expect(host.crashes.slice(0, 3)).toEqual([
      { release: "v1", reason: "the server exited with code 3", delayMs: 200, blame: "release" },
      { release: "v1", reason: "the server exited with code 3", delayMs: 400, blame: "release" },
      { release: "v1", reason: "the server exited with code 3", delayMs: 800, blame: "release" },
    ]);
    expect(supervisor.state).toMatchObject({ kind: "backoff", release: "v1" });
  });

  test("by a signal, its connections go to the one that is started next", async () => {
    await using host = new AppHost();
    host.switchTo(host.httpRelease("v1"));
    await using supervisor = await host.openHttp();
    await supervisor.resume("v1", c);
    await host.serves("v1");
    process.kill(pidOf(supervisor), "SIGKILL");
    await until("its death is noticed", () => supervisor.state.kind === "backoff");
    // The port stays open meanwhile: a client waits instead of being refused.
    expect(await host.ask()).toStartWith("v1 2 ");
    expect(host.crashes).toMatchObject([{ reason: "the server was killed by SIGKILL" }]);
  });

  test("what it left behind of its group goes before long", async () => {
    await using host = new AppHost();
    host.switchTo(host.shellRelease("v1", "sleep 1000 & sleep 0.1; exit 1"));
    await using supervisor = await host.open();
    await supervisor.resume("v1", c);
    const first = pidOf(supervisor);
    await until("it died", () => host.crashes.length > 0);
    await until("its child is gone", () => groupIsGone(first));
  });

  test("while an old one is kept for a while ends the wait for it, and what it left goes", async () => {
    await using host = new AppHost();
    host.switchTo(host.shellRelease("v1", shellApps.leavesChild));
    host.shellRelease("v2", shellApps.stays);
    await using supervisor = await host.open({ killOldDelayMs: 600_000, stopTimeoutMs: 200 });
    await supervisor.resume("v1", c);
    await sleeps(supervisor);
    const old = pidOf(supervisor);
    await supervisor.replace(host.change("v2", "v1"), c);
    expect(groupIsGone(old)).toBe(false);
    process.kill(old, "SIGKILL");
    await until("its child is gone", () => groupIsGone(old));
    await until("it is forgotten", () => host.record.read()?.generations.length === 1);
  });

  test("in back-off, a deploy replaces it at once and its restart is off", async () => {
    await using host = new AppHost();
    host.switchTo(host.shellRelease("v1", shellApps.dies));
    host.shellRelease("v2", shellApps.stays);
    await using supervisor = await host.open();
    await supervisor.resume("v1", c);
    await until("it is in back-off", () => host.crashes.length >= 2);
    expect(await supervisor.replace(host.change("v2", "v1"), c)).toBe("started");
    const { number } = runningGeneration(supervisor.state);
    await host.waitsForNothing();
    expect(runningGeneration(supervisor.state)).toMatchObject({ number, release: "v2" });
    expect(host.record.read()?.generations).toHaveLength(1);
  });

  test("in back-off, a deploy that fails leaves it being restarted", async () => {
    await using host = new AppHost();
    host.switchTo(host.shellRelease("v1", shellApps.dies));
    host.shellRelease("v2", shellApps.dies);
    await using supervisor = await host.open();
    await supervisor.resume("v1", c);
    await until("it is in back-off", () => host.crashes.length >= 1);
    await expect(supervisor.replace(host.change("v2", "v1"), c)).rejects.toMatchObject({
      code: "start-failed",
    });
    host.shellRelease("v1", shellApps.stays);
    await until("v1 runs", () => supervisor.state.kind === "running");
  });

  test.each(["succeeds", "fails"] as const)(
    "while a release is being put in place that then %s, exactly one is left running",
    async (end) => {
      await using host = new AppHost();
      host.switchTo(host.shellRelease("v1", shellApps.stays));
      host.shellRelease("v2", end === "succeeds" ? shellApps.stays : shellApps.dies);
      await using supervisor = await host.open();
      await supervisor.resume("v1", c);
      await sleeps(supervisor);
      const prepare = async () => {
        process.kill(pidOf(supervisor), "SIGKILL");
        await until("its restart is due", () => supervisor.state.kind === "backoff");
        // The restart's delay is over, and it waits for this change.
        await host.waitsForNothing();
        host.switchTo("v2");
      };
      const replacing = supervisor.replace(host.change("v2", "v1", { prepare }), c);
      if (end === "succeeds") expect(await replacing).toBe("started");
      else await expect(replacing).rejects.toMatchObject({ code: "start-failed" });
      await host.waitsForNothing();
      const release = end === "succeeds" ? "v2" : "v1";
      expect(supervisor.state).toMatchObject({ kind: "running", release });
      expect(host.record.read()?.generations).toMatchObject([{ release }]);
      expect(host.crashes).toHaveLength(1);
    },
  );

  test("the old one, while the new one proves itself and fails: it is restarted", async () => {
    await using host = new AppHost();
    host.switchTo(host.shellRelease("v1", shellApps.stays));
    host.shellRelease("v2", shellApps.diesWhenTold);
    await using supervisor = await host.open({ minUptimeMs: 2000 });
    await supervisor.resume("v1", c);
    await sleeps(supervisor);
    const old = pidOf(supervisor);
    const replacing = supervisor.replace(host.change("v2", "v1"), c);
    await until("both are up", () => supervisor.state.kind === "reloading");
    process.kill(old, "SIGKILL");
    writeFileSync(join(host.root, "die"), "");
    await expect(replacing).rejects.toMatchObject({ code: "start-failed" });
    await until("v1 runs again", () => supervisor.state.kind === "running" && pidOf(supervisor) !== old);
    expect(host.crashes).toMatchObject([{ release: "v1" }]);
  });
});

describe("restarting the same release", () => {
  test("starts first and stops then", async () => {
    await using host = new AppHost();
    host.switchTo(host.httpRelease("v1"));
    await using supervisor = await host.openHttp();
    await supervisor.resume("v1", c);
    await host.serves("v1");
    const load = startLoad(host.port, { kept: 2, fresh: 2 });
    await supervisor.restart(c);
    const { failures } = await load.stop();
    expect(failures).toEqual([]);
    expect(runningGeneration(supervisor.state)).toMatchObject({ number: 2, release: "v1" });
  });

  test("starts an app in back-off at once", async () => {
    await using host = new AppHost();
    host.switchTo(host.shellRelease("v1", shellApps.dies));
    await using supervisor = await host.open();
    await supervisor.resume("v1", c);
    await until("it waits long", () => host.crashes.length >= 4);
    host.shellRelease("v1", shellApps.stays);
    await supervisor.restart(c);
    expect(supervisor.state.kind).toBe("running");
  });

  test("asked for during a change is of the release the change ends at", async () => {
    await using host = new AppHost();
    host.switchTo(host.shellRelease("v1", shellApps.stays));
    host.shellRelease("v2", shellApps.diesWhenTold);
    await using supervisor = await host.open({ minUptimeMs: 2000 });
    await supervisor.resume("v1", c);
    await sleeps(supervisor);
    const replacing = supervisor.replace(host.change("v2", "v1"), c);
    await until("the new one is up", () => supervisor.state.kind === "reloading");
    const restarting = supervisor.restart(c);
    writeFileSync(join(host.root, "die"), "");
    await expect(replacing).rejects.toMatchObject({ code: "start-failed" });
    await restarting;
    expect(runningGeneration(supervisor.state)).toMatchObject({ number: 3, release: "v1" });
  });

  test("where nothing runs starts nothing", async () => {
    await using host = new AppHost();
    await using supervisor = await host.open();
    await supervisor.restart(c);
    expect(supervisor.state).toEqual({ kind: "stopped" });
  });
});

describe("the end", () => {
  test("stops the whole group, and what ignores SIGTERM by SIGKILL", async () => {
    await using host = new AppHost();
    host.switchTo(host.shellRelease("v1", shellApps.leavesChild));
    const supervisor = await host.open({ stopTimeoutMs: 300 });
    await supervisor.resume("v1", c);
    const pid = pidOf(supervisor);
    // Only what has become `sleep` has set its trap.
    const sleeping = () => processGroup(pid).filter((member) => commandName(member) === "sleep");
    await until("both sleep", () => sleeping().length === 2);
    await supervisor[Symbol.asyncDispose]();
    expect(groupIsGone(pid)).toBe(true);
    expect(host.log.at("warn")).toEqual(["Server killed: it did not stop in time"]);
    expect(host.record.read()?.generations).toEqual([]);
  });

  test("frees the port", async () => {
    await using host = new AppHost();
    host.switchTo(host.httpRelease("v1"));
    const supervisor = await host.openHttp();
    await supervisor.resume("v1", c);
    await host.serves("v1");
    await supervisor[Symbol.asyncDispose]();
    expect(listeningInodes(host.listen)).toEqual([]);
    await using again = await host.openHttp();
    expect(again.state).toEqual({ kind: "stopped" });
  });

  test("starts nothing that was about to be restarted", async () => {
    await using host = new AppHost();
    host.switchTo(host.shellRelease("v1", "echo x >> starts; exit 1"));
    const supervisor = await host.open();
    await supervisor.resume("v1", c);
    await until("it is in back-off", () => supervisor.state.kind === "backoff");
    await supervisor[Symbol.asyncDispose]();
    const starts = readFileSync(join(host.root, "starts"), "utf8");
    await host.waitsForNothing();
    expect(readFileSync(join(host.root, "starts"), "utf8")).toBe(starts);
    expect(supervisor.state).toEqual({ kind: "stopped" });
  });

  test("tells an app that is already stopping not a second time", async () => {
    await using host = new AppHost();
    const counts =
      "trap 'echo TERM >> signals; sleep 0.5; exit 0' TERM; touch ready; while :; do sleep 0.05; done";
    host.switchTo(host.shellRelease("v1", counts));
    host.shellRelease("v2", shellApps.stays);
    const supervisor = await host.open({ minUptimeMs: 50 });
    await supervisor.resume("v1", c);
    await until("v1 listens to signals", () => existsSync(join(host.root, "ready")));
    await supervisor.replace(host.change("v2", "v1"), c);
    const signals = join(host.root, "signals");
    await until("v1 was told", () => existsSync(signals));
    await supervisor[Symbol.asyncDispose]();
    expect(readFileSync(signals, "utf8")).toBe("TERM\n");
  });

  test("waits for a change that is aborted, and ends what it started", async () => {
    await using host = new AppHost();
    host.shellRelease("v1", shellApps.stays);
    const supervisor = await host.open({ minUptimeMs: 600_000 });
    const stop = new AbortController();
    const replacing = supervisor.replace(host.change("v1", null), stop);
    const pid = await until(
      "it is up",
      () => supervisor.state.kind === "starting" && supervisor.state.next.pid,
    );
    stop.abort(new Error("told to stop"));
    const [outcome] = await Promise.allSettled([replacing, supervisor[Symbol.asyncDispose]()]);
    expect(outcome).toMatchObject({ status: "rejected" });
    expect(groupIsGone(pid)).toBe(true);
  });
});

function runningGeneration(state: { kind: string; current?: unknown; release?: unknown }) {
  expect(state.kind).toBe("running");
  return { ...(state.current as { number: number }), release: state.release };
}
