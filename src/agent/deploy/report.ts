import { toDewyError } from "../../errors.ts";
import { records } from "../../events.ts";
import type { Log } from "../../log.ts";
import type { Registry } from "../../registry/registry.ts";
import { type Call, withDeadline } from "../../util/async.ts";
import type { History } from "../history.ts";
import type { StateFile } from "../state.ts";

const reportDeadlineMs = 60_000;

/**
 * Brings the last deploy into the history and to the registry. It is kept in the state until both have it, so
 * that a crash or an outage in between loses nothing. What keeps it from either is one WARN: the deploy itself
 * has succeeded. A registry that refuses it for good is not asked again. Rejects only when `c` aborts.
 */
export class Reporter {
  #warnedOf: string | null = null;

  constructor(
    private readonly deps: {
      readonly state: StateFile;
      readonly history: History;
      /** null with `--no-report`. */
      readonly registry: Registry | null;
      readonly log: Log;
    },
  ) {}

  /** Into the history alone, at once: a stop that follows a deploy must not keep it out until the next start. */
  record(): void {
    try {
      this.#append();
    } catch {
      // deliver() tries again, and tells what is in the way.
    }
  }

  async deliver(c: Call): Promise<void> {
    const { state, registry, log } = this.deps;
    const record = state.state.unreported;
    if (record === null) return;
    try {
      this.#append();
      if (registry !== null) {
        log.debug(records.report, { tag: record.tag });
        await registry.report(record, withDeadline(c, reportDeadlineMs));
      }
    } catch (error) {
      c.signal.throwIfAborted();
      const { message, hint, retryable } = toDewyError(error, "report");
      if (this.#warnedOf !== record.id) log.warn("Report failed", { error: message, tag: record.tag, hint });
      this.#warnedOf = record.id;
      if (retryable) return;
    }
    state.learn({ unreported: null });
  }

  #append(): void {
    const { state, history } = this.deps;
    const record = state.state.unreported;
    if (record !== null && !history.read().some(({ id }) => id === record.id)) history.append(record);
  }
}
