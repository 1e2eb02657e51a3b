import { realpathSync } from "node:fs";
import { hostname } from "node:os";
import { basename, join } from "node:path";
import { Check } from "../../agent/check.ts";
import type { Preview } from "../../agent/orders/operations.ts";
import { previewOf } from "../../agent/orders/preview.ts";
import { emptyState } from "../../agent/state.ts";
import { type AgentRecord, readAgentRecord } from "../../control/record.ts";
import { schemeOf } from "../../drivers/driver.ts";
import { imageRegistries, readArchiveRegistry, readImageRegistry } from "../../drivers/registries.ts";
import { DewyError } from "../../errors.ts";
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
import { recordedState } from "./recorded-state.ts";
import type { RegistryChoice } from "./request.ts";

/** For a source. */
export const lastAgent = "the last agent";

/** What is to be asked from here, and where that is said. */
interface Chosen extends RegistryChoice {
  readonly rules: Rules;
  readonly setup: string;
  /** Of containers only an engine could tell. */
  readonly isContainer: boolean;
  readonly env: OperatorIo["env"];
  readonly source: string;
}

/**
 * What an agent of this directory would do, without one: asks the registry as its configuration file says, as the
 * last agent did, or as it is told, and changes nothing on disk. A cache that hosts share the registry's answers in
 * is not asked.
 */
export async function previewAlone(
  layout: Layout,
  from: RegistryChoice | null,
  io: Pick<OperatorIo, "env" | "clock" | "watched">,
  c: Call,
): Promise<Preview & { readonly source: string }> {
  const { clock } = io;
  const chosen = await choose(layout, from, io);
  const { env, source, setup, rules } = chosen;
  const http = new HttpClient({ clock, log: silentLog, userAgent: `dewy/${build.version}`, env });
  const deps = { platform: thisPlatform(), http, governor: http.governor, clock, log: silentLog, env };
  const read = schemeOf(chosen.registry) in imageRegistries ? readImageRegistry : readArchiveRegistry;
  const open = await read(chosen.registry, { slot: chosen.slot, calver: chosen.calver }, env);
  const { registry, order } = await open(deps);
  await using _registry = registry;
  const state = recordedState(layout.state) ?? emptyState;
  const check = new Check({
    registry,
    delivery: { setup, isIntact: (placed) => chosen.isContainer || isInPlace(placed, layout) },
    state: { state, learn: () => undefined },
    live: { settings: { rules } },
    order,
    settings: { host: hostname(), root: layout.root },
    clock,
    log: silentLog,
  });
  return { ...previewOf(await check.ask("look", c), state, clock.now()), source };
}

/** The command line before the file, as for an agent; the last agent's command line where neither says. */
async function choose(
  layout: Layout,
  from: RegistryChoice | null,
  { env, watched }: Pick<OperatorIo, "env" | "watched">,
): Promise<Chosen> {
  const record = readAgentRecord(layout.agent);
  const file = await watched(layout.root);
  const rules = file?.rules ?? (record === null ? always : rulesOf(record.schedule));
  const command = file?.command ?? record?.command ?? null;
  const common = { rules, setup: record?.setup ?? "", isContainer: command === "container" };
  if (file !== null && file.registry !== null) {
    const { registry, calver, slot } = file;
    return {
      ...common,
      registry,
      calver,
      slot,
      env: file.env,
      source: from === null ? file.path : "--registry",
    };
  }
  const own = { ...common, env: file?.env ?? env };
  if (from !== null) return { ...own, ...from, source: "--registry" };
  if (record === null) throw unwatched(layout.root);
  const { registry, calver, slot } = record;
  return { ...own, registry, calver, slot, source: lastAgent };
}

function isInPlace({ release }: PlacedRelease, { root }: Layout): boolean {
  try {
    return basename(realpathSync(join(root, "current"))) === release;
  } catch {
    return false; // the link leads nowhere
  }
}

function rulesOf({ windows, minAgeMs, jitterMs }: AgentRecord["schedule"]): Rules {
  return { windows: windows.map((text) => parseWindow(text)), minAgeMs, jitterMs };
}

function unwatched(root: string): DewyError {
  return new DewyError("config-invalid", `nobody knows what an agent in ${root} would watch`, {
    hint: "name the agent's working directory with --root, or the registry in dewy.toml or with --registry",
  });
}
