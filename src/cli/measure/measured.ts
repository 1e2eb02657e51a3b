import type { AgentDeps } from "../../agent/agent.ts";
import { History } from "../../agent/history.ts";
import type { StateFile } from "../../agent/state.ts";
import type { Command } from "../../events.ts";
import type { Latest, Registry } from "../../registry/registry.ts";
import type { DeployRecord } from "../../release/release.ts";
import type { Metrics, Reading } from "../../telemetry/metrics.ts";
import type { Call } from "../../util/async.ts";
import type { Clock } from "../../util/time.ts";
import { type Offered, releaseReadings, unixTime } from "./readings.ts";
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
  { metrics, page, intervalMs }: AgentTelemetry,
  { command, registry, history, state, clock }: Measured,
): Pick<AgentDeps, "registry" | "history"> {
  if (page === null) return { registry, history };
  const polls = new CountedRegistry(registry, intervalMs, clock);
  const deploys = new CountedHistory(history.path, command, metrics);
  metrics.observe(() => [
    ...releaseReadings(state.state, polls.offered),
    ...polls.readings(),
    ...deploys.readings(),
  ]);
  return { registry: polls, history: deploys };
}

/** Counts how often the registry itself answers what is newest; its last answer, served on, is none. */
class CountedRegistry implements Registry {
  #successes = 0;
  #failures = 0;
  #failuresInARow = 0;
  #lastSuccess: Date | null = null;
  #windowMs = 0;
  #offered: Offered;

  constructor(
    private readonly registry: Registry,
    private readonly intervalMs: number,
    private readonly clock: Clock,
  ) {}

  get offered(): Offered {
    return this.#offered;
  }

  async latest(c: Call) {
    try {
      const latest = await this.registry.latest(c);
      this.#answered(latest);
      return latest;
    } catch (error) {
      if (!isStopped(c)) this.#failed();
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
    const everyMs = Math.max(this.intervalMs, this.registry.minIntervalMs(), this.#windowMs);
    return [
      { name: "dewy.poll.total", labels: { result: "success" }, value: this.#successes },
      { name: "dewy.poll.total", labels: { result: "failure" }, value: this.#failures },
      { name: "dewy.poll.consecutive_failures", labels: {}, value: this.#failuresInARow },
      { name: "dewy.poll.interval", labels: {}, value: Math.ceil(everyMs / 1000) },
      ...(last === null
        ? []
        : [{ name: "dewy.poll.last_success.timestamp", labels: {}, value: unixTime(last) } as const]),
    ];
  }

  #answered({ release, shared }: Latest): void {
    this.#offered = release?.tag ?? null;
    this.#windowMs = shared?.windowMs ?? this.#windowMs;
    this.#lastSuccess = shared?.asOf ?? this.clock.now();
    if (shared?.isStale === true) this.#failed();
    else {
      this.#successes += 1;
      this.#failuresInARow = 0;
    }
  }

  #failed(): void {
    this.#failures += 1;
    this.#failuresInARow += 1;
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
