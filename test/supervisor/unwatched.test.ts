import { describe, expect, test } from "bun:test";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stopLeftovers } from "../../src/supervisor/leftovers.ts";
import type { Orphan } from "../../src/supervisor/orphan.ts";
import type { SupervisorRecord } from "../../src/supervisor/record.ts";
import type { SupervisorOptions } from "../../src/supervisor/supervisor.ts";
import { diedUnwatched } from "../../src/supervisor/unwatched.ts";
import { processStat } from "../../src/util/procfs.ts";
import { systemClock } from "../../src/util/time.ts";
import { AppHost, groupIsGone, killGroup, pidOf, shellApps } from "../support/app-host.ts";
import { killedAgent } from "../support/killed-agent.ts";
import { mountTmpfs } from "../support/tmpfs.ts";
import { until } from "../support/until.ts";

const c = { signal: new AbortController().signal };

const generation = { number: 1, pid: 4711, startTicks: 100, release: "v1" };
const record: SupervisorRecord = {
  version: 1,
  bootId: "b",
  command: [],
  listeners: [],
  generations: [generation],
  rehearsals: [],
  ended: [],
  keeper: "@7",
  stopping: false,
};
const orphan = { ...generation, leadsGroup: true, root: "/srv" };

describe("which releases died unwatched", () => {
  test.each<[string, SupervisorRecord | null, readonly Orphan[], string | null, string[]]>([
    ["what was left running and is gone", record, [], "@7", ["v1"]],
    ["none: it runs", record, [orphan], "@7", []],
    ["none: it runs, and nobody knows from where", record, [{ ...orphan, release: null }], "@7", []],
    [
      "none: an older run of it does",
      { ...record, generations: [generation, { ...generation, number: 2 }] },
      [orphan],
      "@7",
      [],
    ],
    ["what was current, though another release runs", record, [{ ...orphan, release: "v0" }], "@7", ["v1"]],
    [
      "what ended before its agent, though it runs again",
      { ...record, ended: [{ ...generation }] },
      [orphan],
      "@7",
      ["v1"],
    ],
    [
      "none: what ended before its agent did so in a stop",
      { ...record, ended: [{ ...generation }], stopping: true },
      [],
      "@7",
      [],
    ],
    ["none: nothing is recorded", null, [], "@7", []],
    ["none: it had been stopped", { ...record, generations: [] }, [], "@7", []],
    ["none: the agent died while it stopped it", { ...record, stopping: true }, [], "@7", []],
    ["none: another keeper may have ended both", record, [], "@8", []],
    [
      "none: an older dewy's record does not say by whom it was kept",
      { ...record, keeper: null },
      [],
      "@7",
      [],
    ],
    ["none: nobody can tell who keeps this agent", { ...record, keeper: null }, [], null, []],
    [
      "none: nobody knows whether it was ever there",
      { ...record, generations: [{ ...generation, pid: null }] },
      [],
      "@7",
      [],
    ],
  ])("%s", (_, recorded, alive, keeper, died) => {
    expect(diedUnwatched(recorded, alive, keeper).map(({ release }) => release)).toEqual(died);
  });
});

const unwatched = {
  release: "v1",
  reason: "the server ended while no agent watched it",
  delayMs: 0,
  blame: "release",
} as const;

/** What the app's next agent takes for a crash. */
async function crashesOfNext(host: AppHost, changes: Partial<SupervisorOptions> = {}) {
  await using supervisor = await host.open(changes);
  expect(await supervisor.resume("v1", c)).toBe("started");
  expect(supervisor.state.kind).toBe("running");
  return [...host.crashes];
}

async function dies(pid: number): Promise<void> {
  killGroup(pid);
  await until("the app is gone", () => groupIsGone(pid));
}

describe("an app that ended while its agent was dead", () => {
  test("has crashed, once, and is started at once", async () => {
    await using host = new AppHost();
    host.shellRelease("v1", shellApps.stays);
    await dies(await killedAgent(host, "v1"));
    expect(await crashesOfNext(host)).toEqual([unwatched]);
    expect(await crashesOfNext(host)).toHaveLength(1);
  });

  test("has crashed, too, where another release still runs", async () => {
    await using host = new AppHost();
    host.shellRelease("v1", shellApps.stays);
    const pid = await killedAgent(host, "v1");
    const left = host.record.read();
    const number = left?.generations[0]?.number ?? 0;
    const old = Bun.spawn(["sleep", "1000"], { detached: true });
    const startTicks = processStat(old.pid)?.startTicks ?? 0;
    const draining = { number: number - 1, pid: old.pid, startTicks, release: "v0" };
    if (left !== null) host.record.write({ ...left, generations: [draining, ...left.generations] });
    await dies(pid);
    expect(await crashesOfNext(host)).toEqual([unwatched]);
    await old.exited;
  });

  test.each<[string, (host: AppHost) => void]>([
    ["was stopping it", (host) => void host.record.markStopping()],
    ["had another keeper", (host) => edit(host, (text) => text.replace(/"keeper":"[^"]*"/, '"keeper":"@1"'))],
  ])("has crashed, too, where it had been adopted from an agent that %s", async (_, meanwhile) => {
    await using host = new AppHost();
    host.shellRelease("v1", shellApps.stays);
    const pid = await killedAgent(host, "v1");
    meanwhile(host);
    expect(await killedAgent(host, "v1")).toBe(pid);
    await dies(pid);
    expect(await crashesOfNext(host)).toEqual([unwatched]);
  });

  test("is recorded, once adopted, as it was started, and without what is gone", async () => {
    await using host = new AppHost();
    host.shellRelease("v1", shellApps.stays);
    const pid = await killedAgent(host, "v1");
    const left = host.record.read();
    if (left === null) throw new Error("no record");
    const gone = { number: 0, pid: 4_194_304, startTicks: 1, release: "v0" };
    host.record.write({ ...left, generations: [gone, ...left.generations], stopping: true });
    await using _supervisor = await host.open({ command: ["sleep", "1"] });
    expect(host.record.read()).toEqual({ ...left, stopping: false });
    killGroup(pid);
  });

  test.each<[string, (host: AppHost) => Partial<SupervisorOptions> | undefined]>([
    [
      "the unit was started anew, which ends what is left of it",
      () => ({ env: { PATH: process.env["PATH"], INVOCATION_ID: "another" } }),
    ],
    ["the agent was stopping it", (host) => void host.record.markStopping()],
    [
      "the host was booted meanwhile",
      (host) => void edit(host, (text) => text.replace(/"bootId":"[^"]*"/, '"bootId":"another"')),
    ],
    [
      "the record is an older dewy's",
      (host) => void edit(host, (text) => text.replace(/,"keeper":.*}$/, "}")),
    ],
  ])("has not crashed where %s", async (_, meanwhile) => {
    await using host = new AppHost();
    host.shellRelease("v1", shellApps.stays);
    await dies(await killedAgent(host, "v1"));
    const changes = meanwhile(host);
    expect(await crashesOfNext(host, changes)).toEqual([]);
  });

  test("has not crashed where its agent was told to stop and killed before it had", async () => {
    await using host = new AppHost();
    host.switchTo(host.shellRelease("v1", shellApps.ignoresTerm));
    const supervisor = await host.open({ stopTimeoutMs: 600_000 });
    await supervisor.resume("v1", c);
    const pid = pidOf(supervisor);
    const stopping = supervisor[Symbol.asyncDispose]();
    await until("it says so", () => host.record.read()?.stopping === true);
    const whenKilled = readFileSync(host.record.path, "utf8");
    killGroup(pid);
    await stopping;
    writeFileSync(host.record.path, whenKilled);
    expect(host.record.read()?.generations).toHaveLength(1);
    expect(await crashesOfNext(host, { stopTimeoutMs: 100 })).toEqual([]);
  });

  test("has not crashed where its agent had no room to note that it stopped it", async () => {
    await using host = new AppHost();
    await using _ = mountTmpfs(host.root, "size=256k");
    host.switchTo(host.shellRelease("v1", shellApps.stays));
    const supervisor = await host.open();
    await supervisor.resume("v1", c);
    const filler = join(host.root, "filler");
    expect(() => writeFileSync(filler, Buffer.alloc(1024 * 1024))).toThrow("ENOSPC");
    await supervisor[Symbol.asyncDispose]();
    rmSync(filler);
    expect(host.log.at("warn")).toContain("Supervisor record not written");
    expect(await crashesOfNext(host)).toEqual([]);
  });

  test.each<[string, (pid: number) => Promise<void>]>([
    ["stopped it", async () => undefined],
    ["found it gone", dies],
  ])("has not crashed where an agent with --proxy %s", async (_, meanwhile) => {
    await using host = new AppHost();
    host.shellRelease("v1", shellApps.stays);
    const pid = await killedAgent(host, "v1");
    await meanwhile(pid);
    const { record: file, log, root } = host;
    const { ended } = stopLeftovers(
      { root, user: null, listen: [], stopTimeoutMs: 5000 },
      { record: file, clock: systemClock, log },
      c,
    );
    await ended;
    expect(groupIsGone(pid)).toBe(true);
    expect(await crashesOfNext(host)).toEqual([]);
  });
});

describe("an app that ended just before its agent did", () => {
  test("is in the record until its end has been acted on, though it was started again", async () => {
    await using host = new AppHost();
    const { record: file } = host;
    const notes: { generations: number[]; ended: number[] }[] = [];
    const write = file.write.bind(file);
    file.write = (written) => {
      const numbers = (runs: readonly { number: number }[] = []) => runs.map(({ number }) => number);
      notes.push({ generations: numbers(written.generations), ended: numbers(written.ended) });
      write(written);
    };
    host.switchTo(host.shellRelease("v1", shellApps.stays));
    await using supervisor = await host.open();
    await supervisor.resume("v1", c);
    killGroup(pidOf(supervisor));
    const last = () => JSON.stringify(notes.at(-1));
    await until("it was acted on", () => last() === '{"generations":[2],"ended":[]}');
    const without = notes.filter(({ generations }) => !generations.includes(1));
    expect(without).toContainEqual({ generations: [2], ended: [1] });
    expect(without.filter(({ ended }) => ended.length === 0)).toHaveLength(1);
  });

  test("has crashed, once, to the next agent, which goes on with what runs again", async () => {
    await using host = new AppHost();
    host.shellRelease("v1", shellApps.stays);
    await killedAgent(host, "v1");
    const left = host.record.read();
    if (left === null) throw new Error("nothing is recorded");
    const ended = left.generations.map((run) => ({ ...run, number: 0, pid: 1 }));
    const ofAnother = ended.map((run) => ({ ...run, release: "v0" }));
    host.record.write({ ...left, ended: [...ended, ...ofAnother] });
    await using supervisor = await host.open();
    expect(host.record.read()?.ended).toHaveLength(2);
    expect(await supervisor.resume("v1", c)).toBe("adopted");
    expect(host.crashes).toEqual([unwatched]);
    await until("it was acted on", () => host.record.read()?.ended.length === 0);
    expect(host.record.read()?.generations).toEqual(left.generations);
  });
});

function edit(host: AppHost, change: (text: string) => string): void {
  const { path } = host.record;
  const text = readFileSync(path, "utf8");
  expect(change(text)).not.toBe(text);
  writeFileSync(path, change(text));
}
