import { existsSync, rmSync } from "node:fs";
import { basename } from "node:path";
import { ProcessEngine, type ProcessEngineOptions } from "../../process-engine/engine.ts";
import { ProcessRecord } from "../../process-engine/record.ts";
import { labelsOfApp, nameFromRepository } from "../../replicas/labels.ts";
import type { Call } from "../../util/async.ts";
import type { AgentParts } from "./parts.ts";

/** What the app's processes behind the proxy are known by. */
export function appOf(root: string): string {
  return nameFromRepository(basename(root));
}

export function openEngine(
  options: Pick<ProcessEngineOptions, "envDir" | "avoidPorts" | "healthCommand">,
  { env, layout, user, clock, log }: AgentParts,
): ProcessEngine {
  const { root } = layout;
  return ProcessEngine.open(
    { app: appOf(root), root, env, user, ...options },
    { record: new ProcessRecord(layout.replicas), clock, log },
  );
}

/**
 * Ends, in the background, what an agent with --proxy has left running in this directory: nobody leads to it any more.
 */
export function stopLeftProcesses(stopTimeoutMs: number, parts: AgentParts): void {
  if (!existsSync(parts.layout.replicas)) return;
  const engine = openEngine({ envDir: null, avoidPorts: [], healthCommand: null }, parts);
  const over = new AbortController();
  const c: Call = { signal: AbortSignal.any([over.signal, parts.hurry]) };
  const ended = stopAll(engine, stopTimeoutMs, parts, c);
  parts.open.defer(async () => {
    over.abort();
    await ended;
  });
}

async function stopAll(
  engine: ProcessEngine,
  stopTimeoutMs: number,
  { layout, log }: AgentParts,
  c: Call,
): Promise<void> {
  const left = await engine.list(labelsOfApp(appOf(layout.root)));
  const stops = left.map(async ({ id, name, pid }) => {
    log.warn("Stopping a process left by an agent with --proxy", { process: name, pid });
    await engine.stop(id, stopTimeoutMs, c);
    await engine.remove(id, c);
  });
  await Promise.all(stops);
  // A later agent with --proxy would take those that are gone for crashed.
  rmSync(layout.replicas, { force: true });
}
