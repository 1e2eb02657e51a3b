import { messageOf } from "./errors.ts";
import { formatDuration } from "./util/time.ts";

export const logLevels = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof logLevels)[number];
export type LogFormat = "text" | "json";

/** A length of time as a log attribute: slog prints `1.5s` in text and integer nanoseconds in JSON. */
export class DurationValue {
  constructor(readonly ms: number) {}
}

export function duration(ms: number): DurationValue {
  return new DurationValue(ms);
}

export type LogValue = string | number | boolean | null | DurationValue | Date | Error | readonly string[];
export type LogAttributes = Readonly<Record<string, LogValue | undefined>>;

/** Messages are static (their names are in events.ts); what varies goes into attributes. */
export interface Log {
  debug(message: string, attributes?: LogAttributes): void;
  info(message: string, attributes?: LogAttributes): void;
  warn(message: string, attributes?: LogAttributes): void;
  error(message: string, attributes?: LogAttributes): void;
}

export interface LogRecord {
  readonly time: Date;
  readonly level: LogLevel;
  readonly message: string;
  readonly attributes: LogAttributes;
}

interface LogOptions {
  /** A function where it may change. */
  readonly level: LogLevel | (() => LogLevel);
  readonly format: LogFormat;
  readonly write: (line: string) => void;
  readonly now?: () => Date;
  /** Gets every record, those below `level` too. */
  readonly keep?: (record: LogRecord) => void;
}

/** Records as Go's log/slog TextHandler and JSONHandler print them, one a line. */
export function createLog(options: LogOptions): Log {
  const { level: least } = options;
  const leastNow = typeof least === "function" ? least : () => least;
  const now = options.now ?? (() => new Date());
  const { keep } = options;
  const emit =
    (level: LogLevel) =>
    (message: string, attributes: LogAttributes = {}) => {
      const isShown = logLevels.indexOf(level) >= logLevels.indexOf(leastNow());
      if (!isShown && keep === undefined) return;
      const record = { time: now(), level, message, attributes };
      keep?.(record);
      if (isShown) options.write(`${renderRecord(record, options.format)}\n`);
    };
  return { debug: emit("debug"), info: emit("info"), warn: emit("warn"), error: emit("error") };
}

/** One line, without its end. */
export function renderRecord({ time, level, message, attributes }: LogRecord, format: LogFormat): string {
  const render = format === "json" ? renderJson : renderText;
  return render(time, level.toUpperCase(), message, attributes);
}

export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} };

function renderText(time: Date, level: string, message: string, attributes: LogAttributes): string {
  let line = `time=${localTime(time, 3)} level=${level} msg=${quoted(message)}`;
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined) line += ` ${quoted(key)}=${quoted(textOf(value))}`;
  }
  return line;
}

function textOf(value: LogValue): string {
  if (value === null) return "<nil>";
  if (value instanceof DurationValue) return formatDuration(value.ms);
  if (value instanceof Date) return localTime(value, 3);
  if (value instanceof Error) return messageOf(value);
  if (Array.isArray(value)) return `[${value.join(" ")}]`;
  return String(value);
}

/** U+0020 apart, Go prints letters, marks, numbers, punctuation and symbols as they are (unicode.IsPrint). */
const unprintable = /[^ \p{L}\p{M}\p{N}\p{P}\p{S}]/u;
const unprintables = new RegExp(`["\\\\]|${unprintable.source}`, "gu");

/** slog's needsQuoting: a backslash alone and DEL do not, a replacement character does. */
function quoted(text: string): string {
  const whole = text.toWellFormed();
  const bare = whole !== "" && !/[\s"=\ufffd]/.test(whole) && !unprintable.test(whole.replaceAll("\x7f", ""));
  return bare ? whole : goQuote(whole);
}

const named: Readonly<Record<string, string>> = {
  '"': '\\"',
  "\\": "\\\\",
  "\x07": "\\a",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\v": "\\v",
};

/** strconv.Quote: `\a \b \f \n \r \t \v` by name, `\x00` for other ASCII, `\u0000` and `\U00000000` beyond. */
function goQuote(text: string): string {
  const body = text.replace(unprintables, (char) => {
    const code = char.codePointAt(0) ?? 0;
    if (code < 0x80) return named[char] ?? `\\x${hex(code, 2)}`;
    return code <= 0xffff ? `\\u${hex(code, 4)}` : `\\U${hex(code, 8)}`;
  });
  return `"${body}"`;
}

function hex(code: number, digits: number): string {
  return code.toString(16).padStart(digits, "0");
}

/** Written by hand: an attribute called `time` or `1` must neither replace a field nor change the order. */
function renderJson(time: Date, level: string, message: string, attributes: LogAttributes): string {
  let fields = `"time":${jsonOf(time)},"level":"${level}","msg":${jsonOf(message)}`;
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined) fields += `,${jsonString(key)}:${jsonOf(value)}`;
  }
  return `{${fields}}`;
}

function jsonOf(value: LogValue): string {
  if (value === null || typeof value === "boolean" || typeof value === "number") return JSON.stringify(value);
  if (value instanceof DurationValue) return String(Math.round(value.ms * 1e6));
  if (value instanceof Date) return jsonString(localTime(value, "nano"));
  if (value instanceof Error) return jsonString(messageOf(value));
  if (typeof value === "string") return jsonString(value);
  return `[${value.map((item) => jsonString(item, true)).join(",")}]`;
}

const longEscapes: Readonly<Record<string, string>> = { "\\b": "\\u0008", "\\f": "\\u000c" };

/** slog's own strings write backspace and form feed as \u0008 and \u000c; encoding/json, behind lists, does not. */
function jsonString(text: string, inList = false): string {
  const json = JSON.stringify(text.toWellFormed()).replace(
    /[\u2028\u2029]/g,
    (char) => `\\u${hex(char.charCodeAt(0), 4)}`,
  );
  return inList ? json : json.replace(/\\(\\|b|f)/g, (pair) => longEscapes[pair] ?? pair);
}

/** RFC 3339 in local time, as slog prints it: milliseconds in text, trailing zeros trimmed (RFC3339Nano) in JSON. */
function localTime(time: Date, fraction: 3 | "nano"): string {
  const offsetMinutes = -time.getTimezoneOffset();
  const local = new Date(time.getTime() + offsetMinutes * 60_000).toISOString();
  const zone =
    offsetMinutes === 0 ? "Z" : `${offsetMinutes < 0 ? "-" : "+"}${hoursMinutes(Math.abs(offsetMinutes))}`;
  const seconds = local.slice(0, 19);
  const millis = local.slice(19, 23);
  return `${seconds}${fraction === 3 ? millis : millis.replace(/\.?0+$/, "")}${zone}`;
}

function hoursMinutes(minutes: number): string {
  return `${String(Math.floor(minutes / 60)).padStart(2, "0")}:${String(minutes % 60).padStart(2, "0")}`;
}
