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
const longestQuietWorkMs = 60 * 60_000;

interface SignsDeps {
  readonly clock: Clock;
  readonly log: Log;
}

/** What the service manager sees of the agent. Without one nothing is told, to nobody. */
export class AgentSigns implements Disposable {
  readonly #line: ManagerLine | null;
  #begunMs: number | null = null;
  #isComplained = false;

  /** `c` aborts when the agent is to end. */
  constructor(
    private readonly config: AgentConfig,
    address: ManagerAddress | null,
    private readonly deps: SignsDeps,
    c: Call,
  ) {
    const line = address === null ? null : new ManagerLine(address, deps);
    this.#line = line;
    c.signal.addEventListener("abort", () => line?.stopping(stopLimitMs(config)), { once: true });
  }

  follow(agent: Pick<Agent, "view" | "stillMs">): void {
    this.#line?.follow(() => this.#look(agent));
  }

  /** What was recorded serves, or was tried to; releases are looked for from now on. */
  begun(): void {
    this.#begunMs = this.deps.clock.monotonicMs();
    this.#line?.look();
  }

  [Symbol.dispose](): void {
    this.#line?.[Symbol.dispose]();
  }

  #look(agent: Pick<Agent, "view" | "stillMs">): ReturnType<Look> {
    const view = agent.view();
    const isMoving = agent.stillMs <= stillLimitMs(this.config);
    if (!isMoving && !this.#isComplained) {
      this.#isComplained = true;
      this.deps.log.error("The agent's work comes no further", {
        work: view.busy?.with,
        step: view.busy?.step ?? undefined,
        after: duration(agent.stillMs),
        hint: "a service manager with a watchdog starts the agent again; the app goes on",
      });
    }
    const isUp = this.#begunMs !== null && (view.app.kind !== "starting" || this.#isPatienceOver);
    return { isUp, status: managerStatus(view), isMoving };
  }

  get #isPatienceOver(): boolean {
    return this.#begunMs !== null && this.deps.clock.monotonicMs() - this.#begunMs > startPatienceMs;
  }
}

/** How long the agent's end may take. */
export function stopLimitMs(config: AgentConfig): number {
  if (config.command === "assets") return closingMs;
  const stopMs = config.command === "container" ? config.runOptions.stopTimeoutMs : null;
  return (stopMs ?? config.stopTimeoutMs) + closingMs;
}

/**
 * How long a step of a deploy may show nothing: what the operator lets it take and a good deal more. Everything in it
 * has a deadline of its own; past all of them the agent is stuck.
 */
export function stillLimitMs(config: AgentConfig): number {
  const { hooks } = config;
  const common = longestQuietWorkMs + hooks.timeoutMs;
  switch (config.command) {
    case "assets":
      return common;
    case "container":
      return common + stopLimitMs(config) + config.drainMs + config.health.timeoutMs * config.replicas;
    case "server": {
      const { health, replicated, killOldDelayMs, minUptimeMs } = config;
      const behindProxy =
        replicated === null ? 0 : replicated.drainMs + replicated.health.timeoutMs * replicated.replicas;
      return (
        common + stopLimitMs(config) + killOldDelayMs + minUptimeMs + (health?.timeoutMs ?? 0) + behindProxy
      );
    }
  }
}
