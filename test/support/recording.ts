import type { DeployEvent } from "../../src/events.ts";
import type { Log, LogAttributes, LogLevel } from "../../src/log.ts";
import type { Notifier } from "../../src/notify/notifier.ts";

export interface LoggedRecord {
  readonly level: LogLevel;
  readonly message: string;
  readonly attributes: LogAttributes;
}

/** A log that keeps what it is told. */
export function recordingLog(): Log & {
  readonly records: readonly LoggedRecord[];
  at(level: LogLevel): readonly string[];
} {
  const records: LoggedRecord[] = [];
  const keep =
    (level: LogLevel) =>
    (message: string, attributes: LogAttributes = {}) =>
      void records.push({ level, message, attributes });
  return {
    records,
    at: (level) => records.filter((record) => record.level === level).map(({ message }) => message),
    debug: keep("debug"),
    info: keep("info"),
    warn: keep("warn"),
    error: keep("error"),
  };
}

/** A notifier that keeps what it is told. */
export function recordingNotifier(): Notifier & { readonly events: readonly DeployEvent[] } {
  const events: DeployEvent[] = [];
  return {
    events,
    async notify(event) {
      events.push(event);
    },
    async [Symbol.asyncDispose]() {},
  };
}
