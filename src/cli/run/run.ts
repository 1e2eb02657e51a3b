import { hostname } from "node:os";
import { dirname } from "node:path";
import { Agent, type AgentDeps } from "../../agent/agent.ts";
import type { Announcer } from "../../agent/announce.ts";
import { isSoaking, usualCrashLoop } from "../../agent/back/going-back.ts";
import type { DeployStep } from "../../agent/deploy/deploy.ts";
import { History } from "../../agent/history.ts";
import { Live, type LiveSettings } from "../../agent/live.ts";
import { acquireLock, type HeldLock } from "../../agent/lock.ts";
import { phaseOf } from "../../agent/pace.ts";
import { StateFile } from "../../agent/state.ts";
import type { AgentConfig } from "../../config/config.ts";
import { RecentRecords } from "../../control/recent.ts";
import type { DriverDeps } from "../../drivers/driver.ts";
import { toDewyError } from "../../errors.ts";
import { records } from "../../events.ts";
import { HttpClient } from "../../http/client.ts";
import { createLog, type Log } from "../../log.ts";
import type { OutboxStep } from "../../notify/outbox.ts";
import type { SenderStep } from "../../notify/sender.ts";
import { reapOrphans } from "../../process/reaper.ts";
import { thisPlatform } from "../../release/platform.ts";
import type { ManagerAddress } from "../../service-manager/address.ts";
import type { Call } from "../../util/async.ts";
import { isWritable } from "../../util/libc.ts";
import { keepTraceRight } from "../../util/libc-groups.ts";
import { releaseIdleMemory } from "../../util/memory.ts";
import { removePartials } from "../../util/partial.ts";
import { systemClock } from "../../util/time.ts";
import { build } from "../../version.ts";
import { liveSettings } from "../configuration/live-settings.ts";
import { measureAgent } from "../measure/measured.ts";
import { openTelemetry } from "../measure/telemetry.ts";
import { openAnnouncer } from "./announcer.ts";
import { AppFailures } from "./app-failures.ts";
import { Control, recordedReload } from "./control.ts";
import { Footing } from "./footing.ts";
import { prepareLayout } from "./layout.ts";
import { AgentSigns } from "./manager-signs.ts";
import type { AgentParts } from "./parts.ts";
import { AgentSignals, restartPeriodically } from "./signals.ts";
import { userOf } from "./user.ts";

export interface RunOptions {
  /** As dewy was given it; the app and the hooks get it so. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** What dewy itself reads, with the configuration file's variables; left out: the same. */
  readonly ownEnv?: Readonly<Record<string, string | undefined>>;
  /** About the configuration. */
  readonly warnings?: readonly string[];
  /** The configuration file read anew; null: there is none. */
  readonly reload?: (() => Promise<LiveSettings>) | null;
  /** Who is told how the agent is; left out: nobody. */
  readonly manager?: ManagerAddress | null;
  readonly stderr: (text: string) => void;
  readonly onStep?: (step: DeployStep | OutboxStep | SenderStep) => void;
}

const logPatienceMs = 50;

/** Runs an agent until a signal ends it, or for one check with `--once`; answers the exit code. */
export async function runAgent(config: AgentConfig, options: RunOptions): Promise<number> {
  // A reader of the log that hangs must not hang the agent: its records are dropped then.
  const write = (record: string) => {
    if (isWritable(2, logPatienceMs)) options.stderr(record);
  };
  const recent = new RecentRecords();
  const live = new Live(liveSettings(config));
  const level = () => live.settings.logLevel;
  const log = createLog({ ...config.log, level, write, keep: recent.keep });
  using stop = new AgentSignals();
  log.info(records.started, { ...build });
  for (const warning of options.warnings ?? []) {
    log.warn("A secret is open to others", { reason: warning, hint: "chmod 600 it" });
  }
  // Told until the last part has closed.
  using signs = new AgentSigns(config, options.manager ?? null, { clock: systemClock, log }, stop);
  keepTraceRight();
  using _ = reapOrphans(systemClock);
  await using open = new AsyncDisposableStack();
  try {
    const failures = new AppFailures();
    const deps = await openAgent(config, options, { log, live, open, failures }, stop);
    const { setup } = deps.delivery;
    const reload = recordedReload(deps.reload, { config, setup }, deps);
    const agent = new Agent({ ...deps, reload });
    failures.agent = agent;
    signs.follow(agent);
    const control = new Control({ operations: agent, recent, config, setup }, { ...deps, open });
    await control.ensure();
    stop.restarts(deps.delivery, deps.announcer, log);
    if (config.command === "server" && config.autoRestartMs !== null) {
      void restartPeriodically(deps.delivery, config.autoRestartMs, deps, stop);
    }
    const running =
      config.command !== "container" && config.once
        ? once(agent, deps, signs, stop)
        : forever(agent, { announcer: deps.announcer, signs, config }, stop);
    return await whileAlone(running, new Footing({ ...deps, control }), open);
  } catch (error) {
    if (!stop.signal.aborted || error !== stop.signal.reason) throw error;
    return 0;
  }
}

/** Once another agent has come in, everything is left to that one, as after a kill -9. */
async function whileAlone(
  running: Promise<number>,
  footing: Footing,
  open: AsyncDisposableStack,
): Promise<number> {
  // Not the agent's own signal: what runs has a last word before its parts are closed.
  const over = new AbortController();
  try {
    return await Promise.race([running, footing.keep(over)]);
  } finally {
    over.abort();
    if (footing.isLost()) open.move();
  }
}

async function once(agent: Agent, { state }: AgentDeps, signs: AgentSigns, c: Call): Promise<number> {
  await agent.begin(c);
  signs.begun();
  // Whoever asks for one check wants it now, not when an agent would try again.
  const { failure } = state.state;
  if (failure !== null) state.learn({ failure: { ...failure, nextTryAt: failure.at } });
  const outcome = await agent.tick(c).finally(() => agent.end());
  return outcome.kind === "failed" ? outcome.failure.exitCode : 0;
}

async function forever(
  agent: Agent,
  { announcer, signs, config }: { announcer: Announcer; signs: AgentSigns; config: AgentConfig },
  c: Call,
): Promise<number> {
  await agent.begin(c);
  signs.begun();
  announcer.tell({ kind: "agent-started", version: build.version, command: config.command });
  try {
    return await agent.run(c);
  } catch (error) {
    const failure = toDewyError(error, "run");
    announcer.tell({ kind: "agent-stopping", reason: failure.message });
    throw error;
  }
}

/** Everything an agent needs, each part closed by `open` in reverse order. Nothing of the app is touched yet. */
async function openAgent(
  config: AgentConfig,
  options: RunOptions,
  { log, live, open, failures }: { log: Log; live: Live; open: AsyncDisposableStack; failures: AppFailures },
  c: AgentSignals,
): Promise<AgentDeps & { readonly lock: HeldLock }> {
  const { env, ownEnv = env } = options;
  const clock = systemClock;
  const user = userOf(config);
  const layout = prepareLayout(config.root, user);
  await removePartials(dirname(layout.state));
  const holder = `pid ${process.pid}, dewy ${config.command}, since ${clock.now().toISOString()}`;
  const lock = open.use(acquireLock(layout.lock, holder));
  // Closed last: what the end was like is measured, too.
  const telemetry = await openTelemetry(config, { env: ownEnv, layout, clock, log, hurry: c.hurry, open });
  const http = new HttpClient({ clock, log, userAgent: `dewy/${build.version}`, env: ownEnv });
  const { governor } = http;
  const drivers: DriverDeps = { platform: thisPlatform(), http, governor, clock, log, env: ownEnv };
  const { file: state, fresh } = StateFile.open(layout.state, log);
  const onStep = options.onStep ?? (() => undefined);
  const { hurry } = c;
  const { announcer, notifiers } = await openAnnouncer(config, { drivers, layout, onStep, open, hurry });
  const currentTag = () => state.state.current?.tag ?? null;
  const parts: AgentParts = {
    drivers,
    layout,
    env,
    user,
    announcer,
    clock,
    log,
    hurry,
    currentTag,
    appFailed: (failure) => failures.tell(failure),
    soaking: () => isSoaking(state.state, clock.now()),
    open,
    telemetry,
  };
  const { registry, delivery, order } = await openDelivery(config, parts, c);
  const { command } = config;
  const history = new History(layout.history);
  return {
    ...measureAgent(telemetry, { command, registry, history, state, clock }),
    lock,
    delivery,
    state,
    freshState: fresh,
    announcer,
    notifiers,
    clock,
    log,
    live,
    order,
    version: build.version,
    crashLoop: usualCrashLoop,
    reload: options.reload ?? null,
    phase: phaseOf(hostname(), layout.root),
    // Images have no place beside them for a report.
    report: config.command !== "container" && config.report,
    retryRequest: layout.retryRequest,
    settings: {
      command: config.command,
      root: layout.root,
      host: hostname(),
      env,
      user,
      hasPort: config.command === "server" && config.ports.length > 0,
    },
    onStep,
    onQuiet: () => releaseIdleMemory(log),
  };
}

/** Each kind brings code that the other has no use for. */
async function openDelivery(config: AgentConfig, parts: AgentParts, c: Call) {
  if (config.command === "container") {
    return (await import("./containers.ts")).openContainers(config, parts, c);
  }
  return (await import("./archives.ts")).openArchives(config, parts, c);
}
