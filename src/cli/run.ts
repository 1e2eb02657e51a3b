import { hostname } from "node:os";
import type { Activator } from "../activate/activator.ts";
import { assetsActivator } from "../activate/assets.ts";
import { ReleaseDirectory } from "../activate/release-dir.ts";
import { serverActivator } from "../activate/server.ts";
import { Agent, type AgentDeps } from "../agent/agent.ts";
import { Announcer } from "../agent/announce.ts";
import type { DeployStep } from "../agent/deploy.ts";
import { History } from "../agent/history.ts";
import { acquireLock } from "../agent/lock.ts";
import { StateFile } from "../agent/state.ts";
import { prepareCacheDirectory } from "../cache/directory.ts";
import type { AgentConfig, ServerConfig } from "../config/config.ts";
import { type DriverDeps, openNotifiers, readCache, readRegistry } from "../drivers.ts";
import { toDewyError } from "../errors.ts";
import { records } from "../events.ts";
import { HttpClient } from "../http/client.ts";
import { createLog, type Log } from "../log.ts";
import { thisPlatform } from "../release/platform.ts";
import { unspellable } from "../supervisor/command.ts";
import { RecordFile } from "../supervisor/record.ts";
import { Supervisor } from "../supervisor/supervisor.ts";
import type { Call } from "../util/async.ts";
import { isWritable } from "../util/libc.ts";
import { releaseIdleMemory } from "../util/memory.ts";
import { systemClock } from "../util/time.ts";
import { build } from "../version.ts";
import { type Layout, prepareLayout } from "./layout.ts";
import { AgentSignals, restartPeriodically } from "./signals.ts";

export interface RunOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stderr: (text: string) => void;
  readonly onStep?: (step: DeployStep) => void;
}

const logPatienceMs = 50;

/** Runs an agent until a signal ends it, or for one check with `--once`; answers the exit code. */
export async function runAgent(config: AgentConfig, options: RunOptions): Promise<number> {
  // A reader of the log that hangs must not hang the agent: its records are dropped then.
  const write = (record: string) => {
    if (isWritable(2, logPatienceMs)) options.stderr(record);
  };
  const log = createLog({ ...config.log, write });
  using stop = new AgentSignals();
  log.info(records.started, { ...build });
  await using open = new AsyncDisposableStack();
  try {
    const deps = await openAgent(config, options, log, open, stop);
    const agent = new Agent(deps);
    stop.restarts(deps.activator, deps.announcer, log);
    if (config.command === "server" && config.autoRestartMs !== null) {
      void restartPeriodically(deps.activator, config.autoRestartMs, deps, stop);
    }
    return config.once ? await once(agent, deps, stop) : await forever(agent, deps.announcer, config, stop);
  } catch (error) {
    if (!stop.signal.aborted || error !== stop.signal.reason) throw error;
    return 0;
  }
}

async function once(agent: Agent, { state }: AgentDeps, c: Call): Promise<number> {
  await agent.begin(c);
  // Whoever asks for one check wants it now, not when an agent would try again.
  const { failure } = state.state;
  if (failure !== null) state.learn({ failure: { ...failure, nextTryAt: failure.at } });
  const outcome = await agent.tick(c);
  return outcome.kind === "failed" ? outcome.failure.exitCode : 0;
}

async function forever(agent: Agent, announcer: Announcer, config: AgentConfig, c: Call): Promise<number> {
  await agent.begin(c);
  await announcer.tell({ kind: "agent-started", version: build.version, command: config.command }, c);
  try {
    return await agent.run(c);
  } catch (error) {
    const failure = toDewyError(error, "run");
    const inTime: Call = { signal: AbortSignal.timeout(10_000) };
    await announcer.tell({ kind: "agent-stopping", reason: failure.message }, inTime);
    throw error;
  }
}

/** Everything an agent needs, each part closed by `open` in reverse order. Nothing of the app is touched yet. */
async function openAgent(
  config: AgentConfig,
  options: RunOptions,
  log: Log,
  open: AsyncDisposableStack,
  c: Call,
): Promise<AgentDeps> {
  const { env } = options;
  const clock = systemClock;
  const layout = prepareLayout(config.root);
  const { root } = layout;
  open.use(
    acquireLock(
      layout.lock,
      `pid ${process.pid}, dewy ${config.command}, since ${clock.now().toISOString()}`,
    ),
  );
  const http = new HttpClient({ clock, log, userAgent: `dewy/${build.version}`, env });
  const drivers: DriverDeps = { platform: thisPlatform(), http, clock, log };
  const cacheOptions = await readCache(config.cache);
  const cacheDir = prepareCacheDirectory(cacheOptions.directory ?? config.cacheDir, root, log);
  const { registry, source } = (await readRegistry(config.registry, config, env))(drivers);
  const { file: state, fresh } = StateFile.open(layout.state, log);
  const releases = new ReleaseDirectory(root, clock);
  const announcer = new Announcer(open.use(await openNotifiers(config.notifiers, drivers)), log);
  const currentTag = () => state.state.current?.tag ?? null;
  return {
    registry: open.use(registry),
    source,
    cache: open.use(cacheOptions.open(cacheDir, log)),
    cacheDir,
    ownsCache: cacheOptions.ownsArtifacts,
    activator: open.use(
      await openActivator(config, { releases, announcer, layout, env, log, currentTag }, c),
    ),
    releases,
    state,
    freshState: fresh,
    history: new History(layout.history),
    announcer,
    clock,
    log,
    keep: config.keep,
    intervalMs: config.intervalMs,
    report: config.report,
    retryRequest: layout.retryRequest,
    settings: {
      command: config.command,
      root,
      host: hostname(),
      env,
      hooks: config.hooks,
      maxArtifactBytes: config.maxArtifactBytes,
      hasPort: config.command === "server" && config.ports.length > 0,
      tmpDir: layout.tmp,
    },
    onStep: options.onStep ?? (() => undefined),
    onQuiet: () => releaseIdleMemory(log),
  };
}

interface ActivatorParts {
  readonly releases: ReleaseDirectory;
  readonly announcer: Announcer;
  readonly layout: Layout;
  readonly env: RunOptions["env"];
  readonly log: Log;
  readonly currentTag: () => string | null;
}

/** With `--once` a server's release is only placed. */
async function openActivator(config: AgentConfig, parts: ActivatorParts, c: Call): Promise<Activator> {
  if (config.command === "assets" || config.once) return assetsActivator(parts.releases, parts.log);
  return serverActivator(parts.releases, await openSupervisor(config, parts, c), parts.log);
}

async function openSupervisor(config: ServerConfig, parts: ActivatorParts, c: Call): Promise<Supervisor> {
  const { announcer, log, layout, env, currentTag } = parts;
  const names = unspellable(env);
  if (names.length > 0 && config.ports.length > 0) {
    log.warn("The app gets no LISTEN_PID: a variable's name can't pass through a shell", {
      variables: names,
      hint: "unset it for dewy if the app takes its sockets by systemd's protocol",
    });
  }
  const options = { ...config, root: layout.root, command: config.appCommand, listen: config.ports, env };
  const deps = {
    clock: systemClock,
    log,
    record: new RecordFile(layout.supervisor),
    onCrash: ({ reason, delayMs }: { reason: string; delayMs: number }) => {
      log.error("Server died", { error: reason, tag: currentTag(), restart_in_ms: delayMs });
      void announcer.tell({ kind: "crashed", tag: currentTag(), reason, delayMs }, c);
    },
  };
  return Supervisor.open(options, deps, c);
}
