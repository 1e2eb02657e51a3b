import { describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import type { ProcessEngineOptions } from "../../src/process-engine/engine.ts";
import type { FoundProcess } from "../../src/process-engine/found.ts";
import type { RecordedProcess } from "../../src/process-engine/record.ts";
import { diedUnwatched } from "../../src/process-engine/unwatched.ts";
import type { PrivateMode } from "../support/private-app.ts";
import { until } from "../support/until.ts";
import { c, ProcessHost } from "./process-host.ts";

const identity = { id: "a", name: "shop-1-0", release: "r1", labels: {}, ports: [], createdAt: "" };
const recorded: RecordedProcess = { ...identity, pid: 4711, startTicks: 100, stopping: false };
const second: RecordedProcess = { ...recorded, id: "b", name: "shop-1-1", pid: 4712 };
const alive = ({ id, pid, startTicks }: RecordedProcess): FoundProcess => ({
  identity: { ...identity, id },
  pid: pid ?? 4713,
  startTicks: startTicks ?? 100,
});

describe("which processes died unwatched", () => {
  test.each<[string, RecordedProcess[], FoundProcess[], string[]]>([
    ["those that were left running and are gone", [recorded, second], [], ["a", "b"]],
    ["one of several", [recorded, second], [alive(recorded)], ["b"]],
    ["none: all run", [recorded, second], [alive(recorded), alive(second)], []],
    [
      "none: its pid was never noted, and it is found by its mark",
      [{ ...recorded, pid: null }],
      [alive(recorded)],
      [],
    ],
    ["none: nobody knows whether it was ever there", [{ ...recorded, pid: null }], [], []],
    ["none but those that were not being stopped", [{ ...recorded, stopping: true }, second], [], ["b"]],
  ])("%s", (_, processes, found, died) => {
    expect(diedUnwatched({ keeper: "@7", processes }, found, "@7").map(({ id }) => id)).toEqual(died);
  });

  test("none where another keeper may have ended both", () => {
    expect(diedUnwatched({ keeper: "@7", processes: [recorded] }, [], "@8")).toEqual([]);
  });
});

/** Two processes of an engine whose agent is as good as dead: what it noted before `end` is what the next one finds. */
async function left(host: ProcessHost, mode: PrivateMode = "serve") {
  const engine = host.engine();
  const deployment = host.deployment(engine, "v1", mode);
  const ids: string[] = [];
  for (const replica of [0, 1]) {
    const id = await deployment.create(replica, c);
    await engine.start(id);
    ids.push(id);
  }
  const kill = async (which: readonly string[]) => {
    const noted = readFileSync(host.record.path, "utf8");
    for (const { id, pid } of host.record.read().processes) {
      if (which.includes(id) && pid !== null) process.kill(pid, "SIGKILL");
    }
    await until("they have ended", () => host.record.read().processes.every(({ id }) => !which.includes(id)));
    writeFileSync(host.record.path, noted);
  };
  const release = deployment.image.id;
  const died = (options: Partial<ProcessEngineOptions> = {}) => host.engine(options).diedUnwatched(release);
  const names = [0, 1].map((replica) => deployment.nameOf(replica));
  return { engine, ids, kill, died, names };
}

function edit({ record: { path } }: ProcessHost, change: (text: string) => string): void {
  const text = readFileSync(path, "utf8");
  expect(change(text)).not.toBe(text);
  writeFileSync(path, change(text));
}

describe("of what an agent left running, the next one knows", () => {
  test("that all of it runs, and which one has died", async () => {
    await using host = new ProcessHost();
    const { ids, kill, died, names } = await left(host);
    expect(died()).toEqual([]);
    await kill(ids.slice(1));
    expect(died()).toEqual(names.slice(1));
    expect(host.engine().diedUnwatched("another")).toEqual([]);
  }, 120_000);

  test("that one has died, once: what it starts itself is what counts from then on", async () => {
    await using host = new ProcessHost();
    const { ids, kill, died } = await left(host);
    await kill(ids);
    const next = host.engine();
    await next.start(await host.deployment(next, "v1").create(0, c));
    expect(died()).toEqual([]);
  }, 120_000);

  test.each<[string, (host: ProcessHost) => Partial<ProcessEngineOptions> | undefined]>([
    ["the unit was started anew", () => ({ env: { PATH: process.env["PATH"], INVOCATION_ID: "another" } })],
    [
      "the host was booted",
      (host) => void edit(host, (text) => text.replace(/"bootId":"[^"]*"/, '"bootId":"another"')),
    ],
    [
      "an older dewy wrote the record",
      (host) => void edit(host, (text) => text.replaceAll(/,"(stopping|keeper)":("[^"]*"|\w+)/g, "")),
    ],
  ])(
    "of no death where %s",
    async (_, meanwhile) => {
      await using host = new ProcessHost();
      const { ids, kill, died } = await left(host);
      await kill(ids);
      const options = meanwhile(host);
      expect(died(options)).toEqual([]);
    },
    120_000,
  );

  test("an older dewy's record: what runs is adopted all the same", async () => {
    await using host = new ProcessHost();
    const { ids } = await left(host);
    edit(host, (text) => text.replaceAll(/,"(stopping|keeper)":("[^"]*"|\w+)/g, ""));
    const found = await host.engine().list({});
    expect(found.map(({ id }) => id)).toEqual(ids);
  }, 120_000);

  test("of no death of what was being stopped, but of the others'", async () => {
    await using host = new ProcessHost();
    const { engine, ids, kill, died, names } = await left(host, "stubborn");
    const [first = ""] = ids;
    const stopped = engine.stop(first, 600_000, c);
    const isStopping = () => host.record.read().processes.find(({ id }) => id === first)?.stopping === true;
    await until("it is noted", isStopping);
    await kill(ids);
    await stopped;
    expect(died()).toEqual(names.slice(1));
  }, 120_000);

  test("of no death once the agent was told to stop", async () => {
    await using host = new ProcessHost();
    const { engine, ids, kill, died } = await left(host);
    engine.beginStop();
    await kill(ids);
    expect(died()).toEqual([]);
  }, 120_000);
});
