import { Announcer } from "../../src/agent/announce.ts";
import type { DeployEvent } from "../../src/events.ts";
import { type Log, type LogAttributes, type LogLevel, silentLog } from "../../src/log.ts";
import { TroubleFile } from "../../src/notify/limiter-file.ts";
import type { NoticeOrigin } from "../../src/notify/outbox.ts";
import { systemClock } from "../../src/util/time.ts";

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

interface Told {
  readonly event: DeployEvent;
  readonly origin: NoticeOrigin;
}

/** An outbox that keeps what it is told, and sends it to nobody. */
export function recordingOutbox(before: readonly Told[] = []) {
  const told = [...before];
  return {
    told,
    get events(): readonly DeployEvent[] {
      return told.map(({ event }) => event);
    },
    add: (event: DeployEvent, origin: NoticeOrigin = {}) => void told.push({ event, origin }),
    hasTold: (deploy: string) => told.some(({ origin }) => origin.deploy === deploy),
  };
}

/** Tells nobody anything. */
export function silentAnnouncer(): Announcer {
  return new Announcer({
    outbox: { add() {}, hasTold: () => true },
    troubles: TroubleFile.open(null, silentLog),
    clock: systemClock,
    log: silentLog,
    mask: (text) => text,
  });
}
