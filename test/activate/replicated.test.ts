import { describe, expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { ReleaseDirectory } from "../../src/activate/release-dir.ts";
import { replicatedActivator } from "../../src/activate/replicated.ts";
import { DewyError } from "../../src/errors.ts";
import type { DeployedRelease } from "../../src/process-engine/plan.ts";
import type { Deployment } from "../../src/replicas/deployment.ts";
import type { UpdateSteps } from "../../src/replicas/rolling-update.ts";
import type { ReplicaLoss } from "../../src/replicas/upkeep.ts";
import { systemClock } from "../../src/util/time.ts";
import { recordingLog } from "../support/recording.ts";
import { tempDir } from "../support/temp-dir.ts";

const c = { signal: new AbortController().signal };
const [old, next] = ["20261121T090000Z", "20261121T090100Z"];

function planned({ version, release, deployedAt }: DeployedRelease): Deployment {
  const image = { reference: release, id: release };
  const create = async () => "";
  return {
    version,
    image,
    deployedAt,
    options: "",
    ports: [],
    usesHealthcheck: false,
    nameOf: String,
    create,
  };
}

function open(
  onUpdate: (deployment: Deployment, steps: UpdateSteps) => Promise<void> = async () => undefined,
  died: Readonly<Record<string, readonly string[]>> = {},
) {
  const directory = tempDir();
  const releases = new ReleaseDirectory(directory.path, systemClock);
  for (const release of [old, next]) mkdirSync(releases.pathOf(release), { recursive: true });
  releases.switchTo(old);
  const resumed: (Deployment | null)[] = [];
  const lost: (ReplicaLoss & { readonly before: boolean })[] = [];
  const activator = replicatedActivator({
    releases,
    replicas: {
      resume: async (deployment) => void resumed.push(deployment),
      async update(deployment, steps) {
        await onUpdate(deployment, steps);
        return "restarted";
      },
      restart: async () => undefined,
      status: () => ({ kind: "idle" }),
    },
    plan: planned,
    diedUnwatched: (release) => died[release] ?? [],
    onReplicaLost: (loss) => void lost.push({ ...loss, before: resumed.length === 0 }),
    recordedTag: () => "v1",
    log: recordingLog(),
  });
  return { releases, activator, resumed, lost, [Symbol.dispose]: () => directory[Symbol.dispose]() };
}

describe("a release behind the proxy", () => {
  test("is current, and its hook has run, before its processes start; it is recorded once they serve", async () => {
    const course: string[] = [];
    using host = open(async ({ version, image }, steps) => {
      course.push(`update to ${version} of ${image.id} with ${host.releases.active()}`);
      await steps.commit();
    });
    const steps = {
      switched: async () => void course.push(`hook with ${host.releases.active()}`),
      commit: async () => void course.push("commit"),
    };
    const activation = await host.activator.activate({ tag: "v2", release: next }, steps, c);
    expect(activation).toEqual({ how: "restarted" });
    expect(course).toEqual([`hook with ${next}`, `update to v2 of ${next} with ${next}`, "commit"]);
  });

  test.each(["update", "hook"])("that fails in the %s leaves the old one current", async (where) => {
    const failure = new DewyError("health-failed", "not healthy");
    using host = open(async () => {
      throw failure;
    });
    const switched = async () => {
      if (where === "hook") throw failure;
    };
    const steps = { switched, commit: async () => undefined };
    await expect(host.activator.activate({ tag: "v2", release: next }, steps, c)).rejects.toBe(failure);
    expect(host.releases.active()).toBe(old);
  });

  test("that is recorded is taken up again as the version it is", async () => {
    using host = open();
    await host.activator.resume(old, c);
    expect(host.lost).toEqual([]);
    expect(host.resumed).toMatchObject([
      { version: "v1", image: { id: old }, deployedAt: new Date("2026-11-21T09:00:00Z") },
    ]);
  });

  test("whose processes died while no agent ran has lost each of them, and is taken up again", async () => {
    using host = open(undefined, { [old]: ["shop-1-0", "shop-1-1"], [next]: ["shop-2-0"] });
    await host.activator.resume(old, c);
    const reason = "it ended while no agent watched it";
    const loss = { kind: "died", version: "v1", image: old, reason, delayMs: 0, before: true } as const;
    expect(host.lost).toEqual([
      { ...loss, name: "shop-1-0" },
      { ...loss, name: "shop-1-1" },
    ]);
    expect(host.resumed).toHaveLength(1);
  });
});
