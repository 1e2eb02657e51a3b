import { expect } from "bun:test";
import { creation } from "../../src/container/plan/creation.ts";
import type { ContainerSpec } from "../../src/container/runtime.ts";
import type { Deployment } from "../../src/replicas/deployment.ts";
import { containerName, writeLabels } from "../../src/replicas/labels.ts";
import type { ReplicaSetOptions } from "../../src/replicas/parts.ts";
import { ReplicaSet } from "../../src/replicas/replica-set.ts";
import type { ReplicaLoss } from "../../src/replicas/upkeep.ts";
import { type Clock, systemClock } from "../../src/util/time.ts";
import type { Behaviour } from "../support/fake-app.ts";
import { FakeRotation } from "../support/fake-rotation.ts";
import { MemoryRuntime } from "../support/memory-runtime.ts";
import { recordingLog } from "../support/recording.ts";
import { until } from "../support/until.ts";

export const c = { signal: new AbortController().signal };
export const noSteps = { switched: async () => undefined, commit: async () => undefined };

export const root = "/srv/shop";
const firstDeploy = Date.parse("2026-11-21T09:00:00Z");
let deploys = 0;

export interface TestDeployment extends Deployment {
  makeSpec(replica: number): ContainerSpec;
}

/** A deployment of `shop:<version>`, with its image on the runtime. */
export function deployment(
  runtime: MemoryRuntime,
  version: string,
  behaviour: Behaviour = "serve",
  fields: Partial<Pick<Deployment, "options" | "ports" | "deployedAt" | "usesHealthcheck">> = {},
): TestDeployment {
  const reference = `shop:${version}`;
  const image = runtime.addImage(reference, behaviour, { hasHealthcheck: fields.usesHealthcheck ?? false });
  const deployedAt = fields.deployedAt ?? new Date(firstDeploy + 1000 * ++deploys);
  const ports = fields.ports ?? [{ proxyPort: 8000, appPort: 8080 }];
  const options = fields.options ?? "o1";
  const makeSpec = (replica: number): ContainerSpec => ({
    name: containerName("shop", deployedAt, replica),
    platform: null,
    body: {
      Image: reference,
      Labels: writeLabels({ app: "shop", version, deployedAt, replica, root, options, digest: null }),
      HostConfig: {
        PortBindings: Object.fromEntries(
          ports.map(({ appPort }) => [`${appPort}/tcp`, [{ HostIp: "127.0.0.1", HostPort: "" }]]),
        ),
      },
    },
  });
  return {
    version,
    image: { reference, id: image.id },
    deployedAt,
    options,
    ports,
    usesHealthcheck: false,
    ...fields,
    makeSpec,
    ...creation({ reference, id: image.id }, makeSpec, runtime),
  };
}
export interface Host extends AsyncDisposable {
  readonly runtime: MemoryRuntime;
  readonly rotation: FakeRotation;
  readonly log: ReturnType<typeof recordingLog>;
  readonly set: ReplicaSet;
  readonly losses: readonly ReplicaLoss[];
  /** Another agent for the same host, with a rotation of its own, as after a restart. */
  successor(overrides?: Partial<ReplicaSetOptions>): Host;
  /** Names of the app's containers, of all states. */
  names(): string[];
  /** Versions of the containers in the rotation. */
  serving(): string[];
  /** Resolves once the engine was asked several times more. */
  looksAgain(): Promise<void>;
  /** Resolves once exactly the replicas of this version are there and serve. */
  settles(version: string, replicas?: number): Promise<void>;
}

export function openHost(
  overrides: Partial<ReplicaSetOptions> = {},
  runtime = new MemoryRuntime(),
  clock: Clock = systemClock,
): Host {
  const rotation = new FakeRotation();
  const log = recordingLog();
  const losses: ReplicaLoss[] = [];
  const options: ReplicaSetOptions = {
    app: "shop",
    root,
    replicas: 2,
    health: { path: "/up", timeoutMs: 2000, intervalMs: 20, threshold: 3, greeting: "" },
    drainMs: 0,
    stopGraceMs: 1000,
    leaveRunning: false,
    ...overrides,
  };
  const onReplicaLost = (loss: ReplicaLoss) => void losses.push(loss);
  const set = ReplicaSet.open(options, { runtime, rotation, clock, log, onReplicaLost });
  const versionOf = (id: string) => runtime.containers.find((each) => each.id === id)?.labels["dewy.version"];
  const host: Host = {
    runtime,
    rotation,
    log,
    set,
    losses,
    successor: (more = {}) => openHost({ ...overrides, ...more }, runtime, clock),
    names: () => runtime.containers.map(({ name }) => name).sort(),
    serving: () => rotation.members.map((id) => versionOf(id) ?? "gone"),
    async looksAgain() {
      const looks = () => runtime.calls.filter((call) => call === "list").length;
      const before = looks();
      await until("it looks again", () => looks() > before + 3);
    },
    async settles(version, replicas = options.replicas) {
      await until(`${replicas} replicas of ${version}`, () => {
        const alive = runtime.containers.filter(({ status }) => status === "running");
        const right = alive.filter(({ labels }) => labels["dewy.version"] === version);
        const all = runtime.containers.length === replicas && right.length === replicas;
        return (
          all && rotation.members.length === replicas && host.serving().every((each) => each === version)
        );
      }).catch((error) => {
        throw new Error(
          `${error.message}; there are ${JSON.stringify(host.names())}, serving ${host.serving()}`,
        );
      });
    },
    async [Symbol.asyncDispose]() {
      await set[Symbol.asyncDispose]();
      await runtime[Symbol.asyncDispose]();
    },
  };
  return host;
}

/** The real time, and more of it. */
export class SkewedClock implements Clock {
  aheadMs = 0;
  now = () => new Date();
  monotonicMs = () => performance.now() + this.aheadMs;
  sleep = systemClock.sleep;
}

/** v1 serves, and the agent is gone as after a kill -9: its containers run on. */
export async function orphaned(host: Host, version = "v1") {
  const orphan = deployment(host.runtime, version);
  await host.set.update(orphan, noSteps, c);
  const ids = [...host.rotation.members];
  await host.set.close({ drain: false }, c);
  return { orphan, ids };
}

export async function failure(work: Promise<unknown>): Promise<unknown> {
  return await work.then(
    () => null,
    (error: unknown) => error,
  );
}

/** v1 runs; what the failed update must leave as it was. */
export async function runningV1(host: Host): Promise<{ unharmed: () => Promise<void> }> {
  await host.set.update(deployment(host.runtime, "v1"), noSteps, c);
  const ids = [...host.rotation.members];
  host.rotation.watchFewest();
  return {
    async unharmed() {
      expect(new Set(host.rotation.members)).toEqual(new Set(ids));
      await host.settles("v1");
      expect(host.runtime.containers.map(({ id }) => id)).toEqual(ids);
      expect(host.set.deployment?.version).toBe("v1");
      expect(host.log.at("error")).toEqual([]);
    },
  };
}
