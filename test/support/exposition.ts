/**
 * A strict reader of Prometheus' text format 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats/).
 * Stricter than a scraper where pages of dewy have no need of what one tolerates: comments, blank lines between the
 * lines of a family, timestamps, families without HELP or TYPE, names that deny their type.
 */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Family {
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  readonly samples: readonly Sample[];
}

interface Draft extends Family {
  readonly samples: Sample[];
}

/** By name; throws with the line's number on whatever is not as it should be. */
export function parseExposition(text: string): ReadonlyMap<string, Family> {
  if (!text.endsWith("\n")) throw new Error("the last line does not end with a line feed");
  const families = new Map<string, Draft>();
  const series = new Set<string>();
  let help: { readonly name: string; readonly text: string } | null = null;
  let current: Draft | null = null;
  text.split("\n").forEach((line, index) => {
    const fail = (why: string): never => {
      throw new Error(`line ${index + 1}: ${why}: ${line}`);
    };
    if (line === "") return;
    const helpLine = /^# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) (.*)$/.exec(line);
    const typeLine = /^# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (\S+)$/.exec(line);
    if (helpLine !== null) {
      const [, name = "", words = ""] = helpLine;
      if (families.has(name)) fail("a second HELP, or lines of one family in two places");
      if (help !== null) fail("HELP without its TYPE before");
      help = { name, text: unescaped(words, { "\\": "\\", n: "\n" }, fail) };
      current = null;
    } else if (typeLine !== null) {
      const [, name = "", type = ""] = typeLine;
      if (families.has(name)) fail("a second TYPE");
      if (help?.name !== name) fail("TYPE does not follow its HELP");
      current = { name, type: typeOf(type, fail), help: help?.text ?? "", samples: [] };
      families.set(name, current);
      help = null;
    } else if (line.startsWith("#")) {
      fail("a comment");
    } else {
      if (current === null) throw new Error(`line ${index + 1}: a sample before its TYPE: ${line}`);
      const sample = parseSample(line, fail);
      if (!namesOf(current).includes(sample.name)) fail(`not of the family ${current.name}`);
      const key = `${sample.name}${JSON.stringify(Object.entries(sample.labels).sort())}`;
      if (series.has(key)) fail("the series is there twice");
      series.add(key);
      current.samples.push(sample);
    }
  });
  if (help !== null) throw new Error("HELP without its TYPE at the end");
  for (const family of families.values()) checkFamily(family);
  return families;
}

function typeOf(type: string, fail: (why: string) => never): Family["type"] {
  return type === "counter" || type === "gauge" || type === "histogram" ? type : fail("unknown type");
}

function namesOf({ name, type }: Family): readonly string[] {
  return type === "histogram" ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name];
}

function parseSample(line: string, fail: (why: string) => never): Sample {
  const [, name = "", rest = ""] = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(.*)$/.exec(line) ?? fail("no metric's name");
  const labels: Record<string, string> = {};
  let tail = rest;
  if (rest.startsWith("{")) {
    let at = 1;
    while (rest[at] !== "}") {
      const pair = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\.)*)"(,|(?=\}))/y;
      pair.lastIndex = at;
      const [whole = "", label = "", value = ""] = pair.exec(rest) ?? fail("a label that is none");
      if (label.startsWith("__")) fail("a reserved label");
      if (label in labels) fail("a label twice");
      labels[label] = unescaped(value, { "\\": "\\", '"': '"', n: "\n" }, fail);
      at += whole.length;
    }
    tail = rest.slice(at + 1);
  }
  const [, number = ""] = /^ ([^ ]+)$/.exec(tail) ?? fail("no value, or more than one");
  return { name, labels, value: parseValue(number, fail) };
}

/** As Go's ParseFloat reads what a scraper finds. */
function parseValue(text: string, fail: (why: string) => never): number {
  if (text === "NaN") return Number.NaN;
  const infinite = /^([+-]?)Inf$/.exec(text);
  if (infinite !== null) return infinite[1] === "-" ? -Infinity : Infinity;
  return /^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$/.test(text) ? Number(text) : fail("no number");
}

function unescaped(
  text: string,
  escapes: Readonly<Record<string, string>>,
  fail: (why: string) => never,
): string {
  return text.replace(/\\(.?)/g, (_, letter: string) => escapes[letter] ?? fail("an escape that is none"));
}

function checkFamily(family: Family): void {
  const { name, type, samples } = family;
  const fail = (why: string): never => {
    throw new Error(`${name}: ${why}`);
  };
  if (samples.length === 0) fail("no samples");
  if (type === "counter" && !name.endsWith("_total")) fail("a counter that is not named so");
  if (type !== "counter" && name.endsWith("_total")) fail("named like a counter");
  if (/_(bucket|sum|count|info_total)$/.test(name)) fail("a name that is a part of a histogram's");
  if (type === "histogram") checkHistogram(family, fail);
  for (const { value, labels } of samples) {
    if (type === "counter" && !(value >= 0)) fail("a counter below zero");
    if (type !== "histogram" && "le" in labels) fail("le outside of a histogram");
  }
}

function checkHistogram({ name, samples }: Family, fail: (why: string) => never): void {
  const of = (suffix: string) => samples.filter((sample) => sample.name === `${name}_${suffix}`);
  const groups = Map.groupBy(of("bucket"), ({ labels: { le, ...others } }) => keyOf(others));
  if (groups.size === 0) fail("no buckets");
  for (const [key, buckets] of groups) {
    const bounds = buckets.map(({ labels }) => parseValue(labels["le"] ?? "", fail));
    if (bounds.some((bound, index) => index > 0 && !(bound > (bounds[index - 1] ?? 0)))) {
      fail("buckets out of order");
    }
    if (bounds.at(-1) !== Infinity) fail("no +Inf bucket");
    const counts = buckets.map(({ value }) => value);
    if (counts.some((count, index) => count < (counts[index - 1] ?? 0))) fail("buckets that don't add up");
    const count = of("count").filter(({ labels }) => keyOf(labels) === key);
    if (count.length !== 1 || count[0]?.value !== counts.at(-1)) fail("_count is not the +Inf bucket");
    if (of("sum").filter(({ labels }) => keyOf(labels) === key).length !== 1) fail("no _sum");
  }
  if (of("count").length !== groups.size) fail("a _count without buckets");
}

function keyOf(labels: Readonly<Record<string, string>>): string {
  return JSON.stringify(Object.entries(labels).sort());
}

/** The value of one series; undefined: it is not there. Labels that are not named may be anything. */
export function sampleValue(
  families: ReadonlyMap<string, Family>,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number | undefined {
  const samples = [...families.values()].flatMap((family) => family.samples);
  return samples.find(
    (sample) =>
      sample.name === name &&
      Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
  )?.value;
}
