import { describe, expect, test } from "bun:test";
import { createLog, duration, type LogAttributes, type LogFormat, logLevels } from "../src/log.ts";

const time = new Date("2026-01-02T03:04:05.006Z");

function record(format: LogFormat, message: string, attributes: LogAttributes = {}, now = time): string {
  const lines: string[] = [];
  const log = createLog({ level: "debug", format, write: (line) => lines.push(line), now: () => now });
  log.info(message, attributes);
  return lines.join("");
}

/** Only what stands behind `msg=`, without the time, which depends on the machine's zone. */
const text = (message: string, attributes?: LogAttributes) =>
  record("text", message, attributes).replace(/^time=\S+ /, "");
const json = (message: string, attributes?: LogAttributes) =>
  record("json", message, attributes).replace(/^\{"time":"[^"]*",/, "{");

/** Printed by Go 1.26's log/slog: the string → its text and its JSON form, and the JSON form within a list. */
const goStrings: readonly [value: string, inText: string, inJson: string, inList?: string][] = [
  ["Dewy", "Dewy", '"Dewy"'],
  ["Dewy started", '"Dewy started"', '"Dewy started"'],
  ["", '""', '""'],
  ["a=b", '"a=b"', '"a=b"'],
  ["a\\b", "a\\b", '"a\\\\b"'],
  ["a\\ b", '"a\\\\ b"', '"a\\\\ b"'],
  ['a"b', '"a\\"b"', '"a\\"b"'],
  ["\\bo\\f", "\\bo\\f", '"\\\\bo\\\\f"'],
  ["\x7f", "\x7f", '"\x7f"'],
  ["x \x7f", '"x \\x7f"', '"x \x7f"'],
  [
    "\b\f\v\x07\x00",
    '"\\b\\f\\v\\a\\x00"',
    '"\\u0008\\u000c\\u000b\\u0007\\u0000"',
    '"\\b\\f\\u000b\\u0007\\u0000"',
  ],
  ["tab\there", '"tab\\there"', '"tab\\there"'],
  ["line\nnext\r", '"line\\nnext\\r"', '"line\\nnext\\r"'],
  ["\x1b[31m", '"\\x1b[31m"', '"\\u001b[31m"'],
  ["é", "é", '"é"'],
  ["日本", "日本", '"日本"'],
  ["😀", "😀", '"😀"'],
  ["<a>&'`", "<a>&'`", '"<a>&\'`"'],
  ["\u0085", '"\\u0085"', '"\u0085"'],
  ["\u00a0", '"\\u00a0"', '"\u00a0"'],
  ["\u00ad", '"\\u00ad"', '"\u00ad"'],
  ["\u200b", '"\\u200b"', '"\u200b"'],
  ["\u2028", '"\\u2028"', '"\\u2028"'],
  ["\u3000", '"\\u3000"', '"\u3000"'],
  ["\ue000", '"\\ue000"', '"\ue000"'],
  ["\ufeff", '"\\ufeff"', '"\ufeff"'],
  ["\ufffd", '"\ufffd"', '"\ufffd"'],
  ["\u{e0001}", '"\\U000e0001"', '"\u{e0001}"'],
];

describe("strings as slog prints them", () => {
  test.each(goStrings)("%j", (value, inText, inJson, inList = inJson) => {
    expect(text(value, { [value]: value })).toBe(`level=INFO msg=${inText} ${inText}=${inText}\n`);
    expect(text("m", { e: new Error(value) })).toBe(`level=INFO msg=m e=${inText}\n`);
    expect(json(value, { [value]: value })).toBe(`{"level":"INFO","msg":${inJson},${inJson}:${inJson}}\n`);
    expect(json("m", { l: [value, "x"] })).toBe(`{"level":"INFO","msg":"m","l":[${inList},"x"]}\n`);
  });

  test("a lone surrogate, which Go cannot hold, becomes a replacement character", () => {
    expect(text("\ud800")).toBe('level=INFO msg="\ufffd"\n');
    expect(json("\ud800")).toBe('{"level":"INFO","msg":"\ufffd"}\n');
  });
});

/** Printed by Go: milliseconds → time.Duration in text, and integer nanoseconds in JSON. */
const goDurations: readonly [ms: number, inText: string, inJson: string][] = [
  [0, "0s", "0"],
  [0.000001, "1ns", "1"],
  [0.0015, "1.5µs", "1500"],
  [1, "1ms", "1000000"],
  [1.5, "1.5ms", "1500000"],
  [1500, "1.5s", "1500000000"],
  [60_000.0001, "1m0.0000001s", "60000000100"],
  [1_800_000, "30m0s", "1800000000000"],
  [5_400_000, "1h30m0s", "5400000000000"],
  [360_001_000, "100h0m1s", "360001000000000"],
];

test.each(goDurations)("a duration of %p ms", (ms, inText, inJson) => {
  expect(text("m", { d: duration(ms) })).toBe(`level=INFO msg=m d=${inText}\n`);
  expect(json("m", { d: duration(ms) })).toBe(`{"level":"INFO","msg":"m","d":${inJson}}\n`);
});

describe("records", () => {
  test("the seed's start record", () => {
    const attributes = { version: "v1.0.0", commit: "abcdef1", date: "2026-01-02" };
    expect(text("Dewy started", attributes)).toBe(
      'level=INFO msg="Dewy started" version=v1.0.0 commit=abcdef1 date=2026-01-02\n',
    );
  });

  test("other values", () => {
    const attributes = { n: 5, f: 0.5, b: true, nil: null, l: ["a", "b"], gone: undefined };
    expect(text("m", attributes)).toBe('level=INFO msg=m n=5 f=0.5 b=true nil=<nil> l="[a b]"\n');
    expect(json("m", attributes)).toBe(
      '{"level":"INFO","msg":"m","n":5,"f":0.5,"b":true,"nil":null,"l":["a","b"]}\n',
    );
  });

  test("attributes keep their order and never replace the record's own fields", () => {
    expect(json("m", { z: 1, msg: "other", level: "x" })).toBe(
      '{"level":"INFO","msg":"m","z":1,"msg":"other","level":"x"}\n',
    );
  });

  test("records below the level are not written", () => {
    for (const [index, level] of logLevels.entries()) {
      const lines: string[] = [];
      const log = createLog({ level, format: "text", write: (line) => lines.push(line) });
      for (const each of logLevels) log[each]("m");
      expect(lines.map((line) => /level=(\w+)/.exec(line)?.[1])).toEqual(
        logLevels.slice(index).map((each) => each.toUpperCase()),
      );
    }
  });
});

/** Printed by Go in the named zone: the time field of a text and of a JSON record. */
const goTimes: readonly [zone: string, at: string, inText: string, inJson: string][] = [
  ["UTC", "2026-01-02T23:59:59Z", "2026-01-02T23:59:59.000Z", "2026-01-02T23:59:59Z"],
  ["UTC", "2026-07-02T03:04:05.010Z", "2026-07-02T03:04:05.010Z", "2026-07-02T03:04:05.01Z"],
  [
    "America/St_Johns",
    "2026-07-02T03:04:05.100Z",
    "2026-07-02T00:34:05.100-02:30",
    "2026-07-02T00:34:05.1-02:30",
  ],
  [
    "Asia/Kathmandu",
    "2026-07-02T23:59:59.999Z",
    "2026-07-03T05:44:59.999+05:45",
    "2026-07-03T05:44:59.999+05:45",
  ],
  ["Europe/Berlin", "2026-01-02T03:04:05Z", "2026-01-02T04:04:05.000+01:00", "2026-01-02T04:04:05+01:00"],
];

test.each(goTimes)("times in %s at %s", (zone, at, inText, inJson) => {
  const before = process.env["TZ"];
  process.env["TZ"] = zone;
  try {
    const date = new Date(at);
    expect(record("text", "m", { at: date }, date)).toBe(`time=${inText} level=INFO msg=m at=${inText}\n`);
    expect(record("json", "m", { at: date }, date)).toBe(
      `{"time":"${inJson}","level":"INFO","msg":"m","at":"${inJson}"}\n`,
    );
  } finally {
    process.env["TZ"] = before ?? "Etc/UTC";
  }
});
