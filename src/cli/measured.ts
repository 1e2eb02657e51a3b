import type { AgentDeps } from "../agent/agent.ts";
import { History } from "../agent/history.ts";
import type { StateFile } from "../agent/state.ts";
import type { Command } from "../events.ts";
import type { Registry } from "../registry/registry.ts";
import type { DeployRecord } from "../release/release.ts";
import type { Metrics, Reading } from "../telemetry/metrics.ts";
import type { Call } from "../util/async.ts";
import type { Clock } from "../util/time.ts";
import { releaseReadings, unixTime } from "./readings.ts";
import type { AgentTelemetry } from "./telemetry.ts";

interface Measured {
  readonly command: Command;
  readonly registry: Registry;
  readonly history: History;
  readonly state: StateFile;
  readonly clock: Clock;
}

/** The agent's registry and history, counted where telemetry is on. */
export function measureAgent(
  { metrics, page }: AgentTelemetry,
  { command, registry, history, state, clock }: Measured,
): Pick<AgentDeps, "registry" | "history"> {
  if (page === null) return { registry, history };
  const polls = new CountedRegistry(registry, clock);
  const deploys = new CountedHistory(history.path, command, metrics);
  metrics.observe(() => [...releaseReadings(state.state), ...polls.readings(), ...deploys.readings()]);
  return { registry: polls, history: deploys };
}

/** Counts how often the registry answers what is newest. */
class CountedRegistry implements Registry {
  #successes = 0;
  #failures = 0;
  #lastSuccess: Date | null = null;

  constructor(
    private readonly registry: Registry,
    private readonly clock: Clock,
  ) {}

  async latest(c: Call) {
    try {
      const latest = await this.registry.latest(c);
      this.#successes += 1;
      this.#lastSuccess = this.clock.now();
      return latest;
    } catch (error) {
      if (!isStopped(c)) this.#failures += 1;
      throw error;
    }
  }

  find(tag: string, c: Call) {
    return this.registry.find(tag, c);
  }

  report(record: DeployRecord, c: Call) {
    return this.registry.report(record, c);
  }

  minIntervalMs() {
    return this.registry.minIntervalMs();
  }

  [Symbol.asyncDispose]() {
    return this.registry[Symbol.asyncDispose]();
  }

  readings(): Reading[] {
    const last = this.#lastSuccess;
    return [
      { name: "dewy.poll.total", labels: { result: "success" }, value: this.#successes },
      { name: "dewy.poll.total", labels: { result: "failure" }, value: this.#failures },
      ...(last === null
        ? []
        : [{ name: "dewy.poll.last_success.timestamp", labels: {}, value: unixTime(last) } as const]),
    ];
  }
}

/** The agent ends; a deadline that has passed is a failure as any other. */
function isStopped({ signal }: Call): boolean {
  return signal.aborted && !(signal.reason instanceof DOMException && signal.reason.name === "TimeoutError");
}

/** Counts what goes into the history: each deploy once, however it ended. */
class CountedHistory extends History {
  #deployed = 0;
  #failed = 0;
  #last: string | null = null;
  readonly #duration: (seconds: number) => void;

  constructor(
    path: string,
    private readonly command: Command,
    metrics: Metrics,
  ) {
    super(path);
    this.#duration = metrics.histogram("dewy.deployment.duration", { command });
  }

  override append(record: DeployRecord): void {
    // Where the disk is full it is tried again.
    if (record.id !== this.#last) this.#count(record);
    this.#last = record.id;
    super.append(record);
  }

  readings(): Reading[] {
    const labels = { command: this.command };
    return [
      { name: "dewy.deployments.total", labels, value: this.#deployed },
      { name: "dewy.deployment.errors.total", labels, value: this.#failed },
    ];
  }

  /** To have gone back is to have failed, only later. */
  #count({ result, durationMs }: DeployRecord): void {
    if (result === "deployed") {
      this.#deployed += 1;
      this.#duration(durationMs / 1000);
    } else {
      this.#failed += 1;
    }
  }
}
