import { DewyError } from "../../errors.ts";
import type { Call } from "../../util/async.ts";
import { pollUntil, withDeadline } from "../../util/async.ts";
import type { Container, ContainerSpec } from "../runtime.ts";
import { type EngineApi, filters, labelFilter } from "./api.ts";
import { toContainer } from "./domain.ts";
import { isNoSuchContainer, refused } from "./failure.ts";
import { readContainer, readCreated, readListedContainers } from "./wire.ts";

/** Busy disks make these slow: a container's file system is made, mounted and taken away. */
const slow = { kind: "whole", ms: 120_000 } as const;
/** On top of the grace that the container gets. */
const stopMarginMs = 30_000;
const goneEveryMs = 100;

/** `onWarning` gets what the engine says it could not do, such as a limit that its kernel lacks. */
export async function createContainer(
  api: EngineApi,
  spec: ContainerSpec,
  onWarning: (warning: string) => void,
  c: Call,
): Promise<string> {
  const doing = `creating container ${spec.name}`;
  const query = new URLSearchParams({ name: spec.name });
  if (spec.platform !== null) query.set("platform", spec.platform);
  const path = `/containers/create?${query}`;
  const answer = await api.json(
    { method: "POST", path, json: spec.body, doing, limit: slow },
    readCreated,
    c,
  );
  if (!answer.ok) throw refused("create", doing, answer.refusal);
  for (const warning of answer.value.Warnings ?? []) onWarning(warning);
  return answer.value.Id;
}

export async function startContainer(api: EngineApi, id: string, c: Call): Promise<void> {
  const doing = `starting container ${short(id)}`;
  const refusal = await api.command({ method: "POST", path: `${at(id)}/start`, doing, limit: slow }, c);
  if (refusal !== null) throw refused("start", doing, refusal);
}

export async function inspectContainer(api: EngineApi, id: string, c: Call): Promise<Container | null> {
  const doing = `inspecting container ${short(id)}`;
  const answer = await api.json(
    { path: `${at(id)}/json`, doing },
    (json) => toContainer(readContainer(json)),
    c,
  );
  if (answer.ok) return answer.value;
  if (isNoSuchContainer(answer.refusal)) return null;
  throw refused("other", doing, answer.refusal);
}

export async function listContainers(
  api: EngineApi,
  labels: Readonly<Record<string, string>>,
  c: Call,
): Promise<readonly Container[]> {
  const doing = "listing containers";
  const path = `/containers/json?all=true&filters=${filters({ label: labelFilter(labels) })}`;
  const answer = await api.json({ path, doing }, readListedContainers, c);
  if (!answer.ok) throw refused("other", doing, answer.refusal);
  const found = await Promise.all(answer.value.map(({ Id }) => inspectContainer(api, Id, c)));
  // One that was removed in between is none.
  return found.filter((container) => container !== null);
}

export async function stopContainer(api: EngineApi, id: string, graceMs: number, c: Call): Promise<void> {
  const doing = `stopping container ${short(id)}`;
  const path = `${at(id)}/stop?t=${Math.ceil(graceMs / 1000)}`;
  const limit = { kind: "whole", ms: graceMs + stopMarginMs } as const;
  const refusal = await api.command({ method: "POST", path, doing, limit }, c);
  if (refusal === null || isNoSuchContainer(refusal)) return;
  // It may have ended by itself, which Podman calls an improper state.
  const container = await inspectContainer(api, id, c);
  if (container === null || ended.has(container.status)) return;
  throw refused("other", doing, refusal);
}

export async function removeContainer(api: EngineApi, id: string, c: Call): Promise<void> {
  const doing = `removing container ${short(id)}`;
  const path = `${at(id)}?force=true&v=true`;
  const refusal = await api.command({ method: "DELETE", path, doing, limit: slow }, c);
  if (refusal === null || isNoSuchContainer(refusal)) return;
  // Docker's answer to the second of two at once; the first one's end is what both wait for.
  if (refusal.status !== 409 || !/already in progress/i.test(refusal.said)) {
    throw refused("other", doing, refusal);
  }
  const deadline = withDeadline(c, slow.ms);
  const isGone = async () => ((await inspectContainer(api, id, deadline)) === null ? true : undefined);
  try {
    await pollUntil(isGone, goneEveryMs, api.clock, deadline);
  } catch (error) {
    if (c.signal.aborted || !deadline.signal.aborted) throw error;
    throw new DewyError("engine-failed", `${doing}: it is still there after ${slow.ms / 1000}s`);
  }
}

const ended: ReadonlySet<Container["status"]> = new Set(["created", "exited", "dead"]);

function at(id: string): string {
  return `/containers/${encodeURIComponent(id)}`;
}

/** As the engines' own clients show it. */
function short(id: string): string {
  return id.slice(0, 12);
}
