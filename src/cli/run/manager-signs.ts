import { ownDeadlineMs, sharedDeadlineMs } from "../../activate/cache-deadlines.ts";
import type { Agent } from "../../agent/agent.ts";
import type { AgentConfig } from "../../config/config.ts";
import { duration, type Log } from "../../log.ts";
import type { ManagerAddress } from "../../service-manager/address.ts";
import { type Look, ManagerLine } from "../../service-manager/line.ts";
import type { Call } from "../../util/async.ts";
import type { Clock } from "../../util/time.ts";
import { managerStatus } from "./manager-status.ts";

/** An app that is still starting then is no reason for the service manager to give the agent up. */
const startPatienceMs = 60_000;
/** The rest of the agent's end: people are told, measurements sent. */
const closingMs = 60_000;
/** Look-ups, an extraction, an engine's answers. */
const quietWorkMs = 2 * 60 * 60_000;

type WatchedAgent = Pick<Agent, "view" | "stillMs">;

interface SignsDeps {
  readonly clock: Clock;
  readonly log: Log;
}

/** What the service manager sees of the agent. Without one nothing is told, to nobody. */
export class AgentSigns implements Disposable {
  readonly #line: ManagerLine | null;
  readonly #openedMs: number;
  #agent: WatchedAgent | null = null;
  #begunMs: number | null = null;
  #isComplained = false;

  /** `c` aborts when the agent is to end. */
  constructor(
    private readonly config: AgentConfig,
    address: ManagerAddress | null,
    private readonly deps: SignsDeps,
    c: Call,
  ) {
    this.#openedMs = deps.clock.monotonicMs();
    const line = address === null ? null : new ManagerLine(address, () => this.#look(), deps);
    this.#line = line;
    c.signal.addEventListener("abort", () => line?.stopping(stopLimitMs(config)), { once: true });
  }

  follow(agent: WatchedAgent): void {
    this.#agent = agent;
  }

  /** What was recorded serves, or was tried to; releases are looked for from now on. */
  begun(): void {
    this.#begunMs = this.deps.clock.monotonicMs();
    this.#line?.look();
  }

  [Symbol.dispose](): void {
    this.#line?.[Symbol.dispose]();
  }

  #look(): ReturnType<Look> {
    const view = this.#agent?.view() ?? null;
    const stillMs = this.#agent?.stillMs ?? this.deps.clock.monotonicMs() - this.#openedMs;
    const isMoving = stillMs <= stillLimitMs(this.config);
    if (!isMoving && !this.#isComplained) {
      this.#isComplained = true;
      this.deps.log.error("The agent's work comes no further", {
        work: view === null ? "the agent's start" : view.busy?.with,
        step: view?.busy?.step ?? undefined,
        after: duration(stillMs),
        hint: "a service manager with a watchdog starts the agent again; the app goes on",
      });
    }
    if (view === null) return { isUp: false, status: "starting", isMoving };
    const isUp = this.#begunMs !== null && (view.app.kind !== "starting" || this.#isPatienceOver);
    return { isUp, status: managerStatus(view), isMoving };
  }

  get #isPatienceOver(): boolean {
    return this.#begunMs !== null && this.deps.clock.monotonicMs() - this.#begunMs > startPatienceMs;
  }
}

/** How long the agent's end may take: a deploy that is broken off stops the new app before the old one is stopped. */
export function stopLimitMs(config: AgentConfig): number {
  if (config.command === "assets") return closingMs;
  const stopMs = config.command === "container" ? config.runOptions.stopTimeoutMs : null;
  return 2 * (stopMs ?? config.stopTimeoutMs) + closingMs;
}

/**
 * How long a step of a deploy may show nothing: what the operator lets it take and a good deal more. Everything in it
 * has a deadline of its own; past all of them the agent is stuck.
 */
export function stillLimitMs(config: AgentConfig): number {
  const { hooks } = config;
  const common = quietWorkMs + hooks.timeoutMs;
  switch (config.command) {
    case "assets":
      return common + cachesLimitMs(config);
    case "container":
      return common + stopLimitMs(config) + config.drainMs + config.health.timeoutMs * config.replicas;
    case "server": {
      const { health, replicated, killOldDelayMs, minUptimeMs } = config;
      // One after the other: each replica, or the rehearsal and what serves then.
      const proofs = replicated?.replicas ?? 2;
      const timeoutMs = (replicated?.health ?? health)?.timeoutMs ?? 0;
      return (
        common +
        cachesLimitMs(config) +
        stopLimitMs(config) +
        (killOldDelayMs + (minUptimeMs + timeoutMs) * proofs + (replicated?.drainMs ?? 0))
      );
    }
  }
}

/**
 * Downloads and pulls tell of what comes; a cache does not. This host's own is read and written, the shared one is
 * looked into before, during and after the wait for another host's download.
 */
function cachesLimitMs({ maxArtifactBytes }: { readonly maxArtifactBytes: number }): number {
  return 2 * ownDeadlineMs + 3 * (sharedDeadlineMs.least + maxArtifactBytes / sharedDeadlineMs.bytesPerMs);
}
