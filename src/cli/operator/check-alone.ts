import { existsSync, realpathSync } from "node:fs";
import { hostname } from "node:os";
import { basename, join } from "node:path";
import { Check } from "../../agent/check.ts";
import type { Preview } from "../../agent/orders/operations.ts";
import { previewOf } from "../../agent/orders/preview.ts";
import { emptyState, readState, type State } from "../../agent/state.ts";
import { type AgentRecord, readAgentRecord } from "../../control/record.ts";
import { schemeOf } from "../../drivers/driver.ts";
import { imageRegistries, readArchiveRegistry, readImageRegistry } from "../../drivers/registries.ts";
import { DewyError, toDewyError } from "../../errors.ts";
import { HttpClient } from "../../http/client.ts";
import { silentLog } from "../../log.ts";
import { thisPlatform } from "../../release/platform.ts";
import type { PlacedRelease } from "../../release/release.ts";
import { always, type Rules } from "../../schedule/evaluate.ts";
import { parseWindow } from "../../schedule/parse.ts";
import type { Call } from "../../util/async.ts";
import { build } from "../../version.ts";
import type { Layout } from "../run/layout.ts";
import type { OperatorIo } from "./operator.ts";
import type { RegistryChoice } from "./request.ts";

/**
 * What an agent of this directory would do, without one: asks the registry as the last agent did, or as it is told,
 * and changes nothing on disk. A cache that hosts share the registry's answers in is not asked.
 */
export async function previewAlone(
  layout: Layout,
  from: RegistryChoice | null,
  { env, clock }: Pick<OperatorIo, "env" | "clock">,
  c: Call,
): Promise<Preview> {
  const record = readAgentRecord(layout.agent);
  const chosen = from ?? record;
  if (chosen === null) throw unwatched(layout.root);
  const http = new HttpClient({ clock, log: silentLog, userAgent: `dewy/${build.version}`, env });
  const deps = { platform: thisPlatform(), http, governor: http.governor, clock, log: silentLog, env };
  const read = schemeOf(chosen.registry) in imageRegistries ? readImageRegistry : readArchiveRegistry;
  const open = await read(chosen.registry, { slot: chosen.slot, calver: chosen.calver }, env);
  const { registry, order } = await open(deps);
  await using _registry = registry;
  const state = recordedState(layout);
  const check = new Check({
    registry,
    delivery: { setup: record?.setup ?? "", isIntact: (placed) => isInPlace(placed, layout, record) },
    state: { state, learn: () => undefined },
    live: { settings: { rules: rulesOf(record) } },
    order,
    settings: { host: hostname(), root: layout.root },
    clock,
    log: silentLog,
  });
  return previewOf(await check.ask("look", c), state, clock.now());
}

function recordedState({ state: path }: Layout): State {
  if (!existsSync(path)) return emptyState;
  try {
    return readState(path);
  } catch (error) {
    throw toDewyError(error, `read ${path}`);
  }
}

/** Of containers only an engine could tell. */
function isInPlace({ release }: PlacedRelease, { root }: Layout, record: AgentRecord | null): boolean {
  if (record?.command === "container") return true;
  try {
    return basename(realpathSync(join(root, "current"))) === release;
  } catch {
    return false; // the link leads nowhere
  }
}

function rulesOf(record: AgentRecord | null): Rules {
  if (record === null) return always;
  const { windows, minAgeMs, jitterMs } = record.schedule;
  return { windows: windows.map((text) => parseWindow(text)), minAgeMs, jitterMs };
}

function unwatched(root: string): DewyError {
  return new DewyError("config-invalid", `nobody knows what an agent in ${root} would watch`, {
    hint: "name the registry with --registry, or the agent's working directory with --root",
  });
}
