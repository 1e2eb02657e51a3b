import { messageOf } from "../errors.ts";
import { type LogAttributes, type LogRecord, type LogValue, logLevels, renderRecord } from "../log.ts";
import type { LogPage, Question } from "./protocol.ts";

const maxRecords = 1000;
const maxSize = 256 * 1024;
/** What a hook printed may be long; its beginning tells enough here. */
const maxValueLength = 2000;

/**
 * The agent's last records, whatever its --log-level, in memory. They are kept as they are and made into lines only
 * when somebody asks.
 */
export class RecentRecords {
  readonly #kept: { readonly record: LogRecord; readonly size: number }[] = [];
  #size = 0;
  /** The number of the last record; the first one is 1. */
  #last = 0;

  /** For a log's `keep`. */
  readonly keep = (given: LogRecord): void => {
    const { attributes, size } = bounded(given.attributes);
    const entry = { record: { ...given, attributes }, size: size + given.message.length + 64 };
    this.#kept.push(entry);
    this.#size += entry.size;
    this.#last += 1;
    while (this.#kept.length > maxRecords || this.#size > maxSize) {
      this.#size -= this.#kept.shift()?.size ?? 0;
    }
  };

  page({ count, level, format, after }: Omit<Extract<Question, { kind: "logs" }>, "kind">): LogPage {
    const least = logLevels.indexOf(level);
    const first = this.#last - this.#kept.length + 1;
    const unseen = after === null ? 0 : Math.max(0, after - first + 1);
    const lines = this.#kept
      .slice(unseen)
      .filter(({ record }) => logLevels.indexOf(record.level) >= least)
      .slice(-count)
      .map(({ record }) => renderRecord(record, format));
    return { lines, last: this.#last };
  }
}

/** Without what would keep more alive than it shows. */
function bounded(attributes: LogAttributes): { attributes: LogAttributes; size: number } {
  let size = 0;
  const entries = Object.entries(attributes).map(([key, value]): [string, LogValue | undefined] => {
    const kept = short(value);
    size += key.length + (typeof kept === "string" ? kept.length : 16);
    return [key, kept];
  });
  return { attributes: Object.fromEntries(entries), size };
}

function short(value: LogValue | undefined): LogValue | undefined {
  if (value instanceof Error) return short(messageOf(value));
  if (Array.isArray(value)) return short(`[${value.join(" ")}]`);
  if (typeof value !== "string" || value.length <= maxValueLength) return value;
  return `${value.slice(0, maxValueLength)}…`;
}
