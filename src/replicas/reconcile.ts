import type { Deployment } from "./deployment.ts";
import type { Instance } from "./engine.ts";
import { readLabels } from "./labels.ts";
import type { Phase, Replica } from "./replica.ts";

/** What to do with a copy of the app that nobody here made or knows. */
export type Verdict = "foreign" | "adopt" | "remove" | "wait";

/** What a replica's state comes to for the number of replicas. */
export type Standing = "counts" | "sick" | "lost" | "busy";

/** What is to be done so that exactly the wanted replicas run. */
export interface Plan {
  /** Copies of the deployment that nobody knows: from before a crash, or whose start was never answered. */
  readonly adopt: readonly Instance[];
  readonly remove: readonly Instance[];
  readonly lost: readonly Replica[];
  readonly sick: readonly Replica[];
  readonly surplus: readonly Replica[];
  readonly missing: number;
}

export interface Situation {
  readonly instances: readonly Instance[];
  readonly replicas: readonly Replica[];
  /** Whether somebody sees to a copy already. */
  readonly isBusy: (id: string) => boolean;
  readonly deployment: Deployment;
  readonly root: string;
  readonly wanted: number;
  /** How long one that the engine itself restarts (`--restart`) may be away. */
  readonly restartMs: number;
  readonly nowMs: number;
}

export function planOf(situation: Situation): Plan {
  const { instances, replicas, isBusy, deployment, root, wanted, restartMs, nowMs } = situation;
  const known = new Set(replicas.map(({ id }) => id));
  const unknown = instances.filter(({ id }) => !known.has(id) && !isBusy(id));
  const judged = (verdict: Verdict) =>
    unknown.filter((each) => verdictOf(each, deployment, root) === verdict);
  const standing = (kind: Standing) => replicas.filter((each) => standingOf(each, restartMs, nowMs) === kind);
  const counted = standing("counts");
  return {
    adopt: judged("adopt"),
    remove: judged("remove"),
    lost: standing("lost"),
    sick: standing("sick"),
    surplus: surplusOf([...counted, ...standing("sick")], wanted),
    missing: Math.max(0, wanted - counted.length),
  };
}

/**
 * Of an unknown copy. One that lacks `dewy.root` was made by the original, which knew one agent per app; one with
 * another root belongs to another agent's directory.
 */
export function verdictOf(instance: Instance, deployment: Deployment, root: string): Verdict {
  const labels = readLabels(instance.labels);
  if (labels === null || (labels.root !== null && labels.root !== root)) return "foreign";
  if (instance.status === "removing") return "wait";
  const isSame = labels.version === deployment.version && sameImage(instance, deployment);
  return isSame && instance.status === "running" ? "adopt" : "remove";
}

/** Its options are not what the operator chooses now: to be made anew, and to serve until then. */
export function isStale(instance: Instance, deployment: Deployment): boolean {
  return readLabels(instance.labels)?.options !== deployment.options;
}

/** `podman` leaves the algorithm out. */
function sameImage(instance: Instance, { image }: Deployment): boolean {
  return instance.imageId.replace(/^sha256:/, "") === image.id.replace(/^sha256:/, "");
}

export function standingOf(
  replica: Pick<Replica, "phase" | "instance" | "health" | "awayMs">,
  restartMs: number,
  nowMs: number,
): Standing {
  return replica.phase === "serving" ? conditionOf(replica, restartMs, nowMs) : "busy";
}

/** Apart from its phase. One that the engine itself restarts is as good as there for a while. */
export function conditionOf(
  replica: Pick<Replica, "instance" | "health" | "awayMs">,
  restartMs: number,
  nowMs: number,
): Exclude<Standing, "busy"> {
  if (replica.instance?.status === "restarting") {
    return nowMs - (replica.awayMs ?? nowMs) < restartMs ? "counts" : "lost";
  }
  if (replica.instance?.status !== "running") return "lost";
  return replica.health.kind === "sick" ? "sick" : "counts";
}

/**
 * Who gets new connections: those that are well. When none is, all that still run: a check that fails everywhere (a
 * database is away) is no reason to refuse everybody. One that never passed a check has to fail some before.
 */
export function rotationOf(replicas: readonly Replica[], threshold: number): readonly Replica[] {
  const able = replicas.filter(({ isReachable }) => isReachable);
  const wellIn = (wanted: Phase) =>
    able.filter(({ phase, health }) => phase === wanted && health.kind === "well");
  const well = wellIn("serving");
  if (well.length > 0) return well;
  // The new ones have died while an update is at its last steps: those that stand by are still good.
  const standby = wellIn("standby");
  if (standby.length > 0) return standby;
  return able.filter(({ phase, health }) => phase === "serving" && health.failures >= threshold);
}

/**
 * Who is too many: all sick ones once enough others are well, and of the well ones those with the highest numbers. Nobody goes
 * while replicas are missing.
 */
export function surplusOf(replicas: readonly Replica[], wanted: number): readonly Replica[] {
  const well = replicas.filter(({ health }) => health.kind === "well");
  if (well.length < wanted) return [];
  const kept = new Set(well.toSorted((a, b) => a.number - b.number).slice(0, wanted));
  return replicas.filter((replica) => !kept.has(replica));
}

/** The lowest numbers that no copy of the same deployment has: they are part of its name. */
export function freeNumbers(count: number, taken: ReadonlySet<number>): number[] {
  const free: number[] = [];
  for (let number = 0; free.length < count; number++) if (!taken.has(number)) free.push(number);
  return free;
}
