import type { LogLevel } from "../log.ts";
import type { Rules } from "../schedule/evaluate.ts";

export interface Hooks {
  readonly before: string | null;
  readonly after: string | null;
  readonly onFailure: "continue" | "abort";
  readonly timeoutMs: number;
}

/** What `reload` may change while the agent runs. */
export interface LiveSettings {
  readonly intervalMs: number;
  readonly hooks: Hooks;
  /** When releases may be deployed. */
  readonly rules: Rules;
  /** How many releases stay on this host. */
  readonly keep: number;
  /** How long a new release is on probation; 0: not at all. */
  readonly soakMs: number;
  readonly logLevel: LogLevel;
}

/** The settings as they are now: read at each use, never kept. */
export class Live {
  #settings: LiveSettings;

  constructor(settings: LiveSettings) {
    this.#settings = settings;
  }

  get settings(): LiveSettings {
    return this.#settings;
  }

  change(settings: LiveSettings): void {
    this.#settings = settings;
  }
}
