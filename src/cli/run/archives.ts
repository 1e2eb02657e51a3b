import { basename, resolve } from "node:path";
import type { Activator } from "../../activate/activator.ts";
import { ArchiveDelivery } from "../../activate/archive.ts";
import { assetsActivator } from "../../activate/assets.ts";
import type { Delivery, DeliveryStatus } from "../../activate/delivery.ts";
import { checkSources, resolveLinks } from "../../activate/links.ts";
import { ReleaseDirectory } from "../../activate/release-dir.ts";
import { serverActivator } from "../../activate/server.ts";
import { prepareCacheDirectory } from "../../cache/directory.ts";
import type { AssetsConfig, ServerConfig } from "../../config/archives.ts";
import { readCache } from "../../drivers/caches.ts";
import { readArchiveRegistry } from "../../drivers/registries.ts";
import type { Registry } from "../../registry/registry.ts";
import type { TagOrder } from "../../release/version.ts";
import { unspellable } from "../../supervisor/command.ts";
import { RecordFile } from "../../supervisor/record.ts";
import type { Sickness } from "../../supervisor/soak-watch.ts";
import { type Crash, Supervisor } from "../../supervisor/supervisor.ts";
import type { Call } from "../../util/async.ts";
import { supervisorReadings } from "../measure/readings.ts";
import { adminSource, forgetAdmin, openAdmin } from "./admin.ts";
import { openCaches, shareAnswers } from "./caches.ts";
import { tellCrash } from "./deaths.ts";
import { checkPaths } from "./ownership.ts";
import type { AgentParts } from "./parts.ts";

/** Assets have no --stop-timeout: what an app of before gets. */
const assetsStopMs = 10_000;

/** What `server` and `assets` watch, and how they put it into use. Nothing of the app is touched yet. */
export async function openArchives(
  config: ServerConfig | AssetsConfig,
  parts: AgentParts,
  c: Call,
): Promise<{ registry: Registry; delivery: Delivery; order: TagOrder }> {
  const { open, layout, log, clock } = parts;
  const { env } = parts.drivers;
  const links = resolveLinks(config.links, layout.root);
  checkSources(links, parts.user);
  const cacheOptions = await readCache(config.cache, env);
  const givenCache = cacheOptions.directory ?? config.cacheDir;
  checkPaths(givenCache === null ? [] : [resolve(givenCache)], parts.user);
  const cacheDir = prepareCacheDirectory(givenCache, layout.root, log);
  const { own, shared, answers } = await openCaches(cacheOptions, cacheDir, parts);
  const upstream = await readArchiveRegistry(config.registry, config, env);
  const { registry, source, order } = await upstream(parts.drivers);
  open.use(registry);
  const releases = new ReleaseDirectory(layout.root, clock);
  releases.prepare();
  const { activator, showAdmin } = await openActivator(config, releases, parts, c);
  const delivery = new ArchiveDelivery({
    source,
    cache: own,
    shared,
    maxCacheBytes: cacheOptions.maxBytes,
    cacheDir,
    releases,
    activator,
    clock,
    log,
    maxArtifactBytes: config.maxArtifactBytes,
    tmpDir: layout.tmp,
    links,
    root: layout.root,
    user: parts.user,
  });
  open.use(delivery);
  if (showAdmin !== null) showAdmin();
  else if (parts.telemetry.page === null) forgetAdmin(layout);
  else {
    const described = { name: basename(layout.root), command: config.command, desiredReplicas: null };
    openAdmin(
      config.adminPort,
      adminSource(described, () => appView(delivery.status()), parts),
      parts,
    );
  }
  return { registry: shareAnswers(registry, config, cacheOptions, answers, parts), delivery, order };
}

const leftProcesses = () => import("./left-processes.ts");

/** What the admin API shows where nothing is behind a proxy. */
function appView(status: DeliveryStatus) {
  const trouble = status.kind === "down" ? status.reason : null;
  return { containers: [], proxyBackends: 0, isRunning: status.kind === "serving", trouble };
}

/** With `--once` a server's release is only placed. `showAdmin`: null where the usual API is enough. */
async function openActivator(
  config: ServerConfig | AssetsConfig,
  releases: ReleaseDirectory,
  parts: AgentParts,
  c: Call,
): Promise<{ activator: Activator; showAdmin: (() => void) | null }> {
  if (config.command === "assets" || config.once) {
    // `server --once` only places a release: whoever serves goes on.
    if (config.command === "assets") (await leftProcesses()).stopLeftProcesses(assetsStopMs, parts);
    return { activator: assetsActivator(releases, parts.log), showAdmin: null };
  }
  if (config.replicated !== null) {
    const { openReplicated } = await import("./replicated.ts");
    return await openReplicated(config, config.replicated, releases, parts, c);
  }
  const supervisor = await openSupervisor(config, parts, c);
  parts.telemetry.metrics.observe(() => supervisorReadings(supervisor));
  (await leftProcesses()).stopLeftProcesses(config.stopTimeoutMs, parts);
  return { activator: serverActivator(releases, supervisor, parts.log), showAdmin: null };
}

async function openSupervisor(config: ServerConfig, parts: AgentParts, c: Call): Promise<Supervisor> {
  const { log, layout, env, currentTag, clock, soaking } = parts;
  const names = unspellable(env);
  if (names.length > 0 && config.ports.length > 0) {
    log.warn("The app gets no LISTEN_PID: a variable's name can't pass through a shell", {
      variables: names,
      hint: "unset it for dewy if the app takes its sockets by systemd's protocol",
    });
  }
  const options = {
    ...config,
    root: layout.root,
    command: config.appCommand,
    listen: config.ports,
    env,
    user: parts.user,
    tmpDir: layout.tmp,
  };
  const deps = {
    clock,
    log,
    record: new RecordFile(layout.supervisor),
    onCrash: (crash: Crash) => tellCrash(crash, parts, c),
    soaking,
    onSick: (sickness: Sickness) => {
      const isTold = parts.appFailed(sickness);
      if (!isTold && !c.signal.aborted)
        log.error("Server is not healthy", { error: sickness.reason, tag: currentTag() });
    },
  };
  const supervisor = await Supervisor.open(options, deps, c);
  c.signal.addEventListener("abort", () => supervisor.beginStop(), { once: true });
  return supervisor;
}
