import { type DewyError, messageOf } from "../errors.ts";
import { records } from "../events.ts";
import type { Log } from "../log.ts";
import type { Clock } from "../util/time.ts";
import type { Announcer } from "./announce.ts";
import type { AgentView } from "./orders/operations.ts";
import type { StateFile } from "./state.ts";

/** What this agent saw since it was started, for whoever asks; and its failures, told to the log and to people. */
export class Notes {
  lastPoll: AgentView["lastPoll"] = null;
  nextPollAt: Date | null = null;
  waiting: AgentView["waiting"] = null;
  lastError: AgentView["lastError"] = null;

  constructor(
    private readonly deps: {
      readonly announcer: Announcer;
      readonly state: StateFile;
      readonly clock: Clock;
      readonly log: Log;
    },
  ) {}

  polled(ok: boolean, newest: string | null): void {
    this.lastPoll = { at: this.#now(), ok, newest };
  }

  /** Tells people. */
  tellFailure(tag: string | null, failure: DewyError, thread: string | null = null): void {
    const { state, announcer } = this.deps;
    const servingTag = state.state.current?.tag ?? null;
    const { message, hint = null } = failure;
    announcer.tell({ kind: "failed", tag, message, hint, servingTag }, { thread });
  }

  logFailure(failure: DewyError, tag: string | null = null): void {
    const { message, hint } = failure;
    this.#remember(failure);
    this.deps.log.error(records.runFailed, { error: message, tag: tag ?? undefined, hint });
  }

  appFailed(reason: string): void {
    this.#remember(new Error(reason));
  }

  #remember(error: Error): void {
    this.lastError = { at: this.#now(), message: messageOf(error) };
  }

  #now(): string {
    return this.deps.clock.now().toISOString();
  }
}
