import type { Family } from "./exposition.ts";

/** What an expression of Prometheus' query language names. */
export interface Named {
  readonly metrics: readonly string[];
  readonly matchers: readonly Matcher[];
  /** Of `by`, `without`, `on` and `ignoring`. */
  readonly groupings: readonly string[];
}

export interface Matcher {
  readonly metric: string;
  readonly label: string;
  /** `=`, `!=`, `=~` or `!~`. */
  readonly operator: string;
  readonly value: string;
}

const functions = new Set(
  "abs,avg,changes,clamp_min,count,histogram_quantile,increase,label_values,max,min,rate,sum,time,vector".split(
    ",",
  ),
);
const keywords = new Set("and,or,unless,by,without,on,ignoring,bool".split(","));
/** What a scrape adds to every series. */
const scraped = new Set(["job", "instance"]);

/** Throws on words that are neither: a function that this reader does not know is one to look up and add. */
export function namesIn(expression: string): Named {
  const metrics: string[] = [];
  const matchers: Matcher[] = [];
  const groupings: string[] = [];
  const token =
    /\s+|(?<group>by|without|on|ignoring)\s*\((?<labels>[^)]*)\)|(?<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(?<selector>[^}]*)\})?|\[(?:\d+[smhd]|\$__rate_interval)\]|\d+(?:\.\d+)?|[-+*/(),<>=!]+/y;
  while (token.lastIndex < expression.length) {
    const at = token.lastIndex;
    const { group, labels, name, selector } = token.exec(expression)?.groups ?? {};
    if (token.lastIndex <= at) throw new Error(`not understood at ${at}: ${expression}`);
    if (group !== undefined) groupings.push(...listOf(labels ?? ""));
    if (name === undefined || keywords.has(name) || functions.has(name)) continue;
    // `label_values(metric, label)` is Grafana's.
    if (/label_values\([^,]*, *$/.test(expression.slice(0, at))) {
      groupings.push(name);
      continue;
    }
    metrics.push(name);
    for (const text of listOf(selector ?? "")) matchers.push(matcherOf(name, text));
  }
  return { metrics, matchers, groupings };
}

function matcherOf(metric: string, text: string): Matcher {
  const [, label = "", operator = "", value = ""] = /^(\w+)\s*(=~|!~|!=|=)\s*"(.*)"$/.exec(text) ?? [];
  if (label === "") throw new Error(`no matcher: ${text}`);
  return { metric, label, operator, value };
}

function listOf(text: string): string[] {
  return text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
}

/** What an expression names and no page has; empty: all is there. */
export function missingFrom(families: ReadonlyMap<string, Family>, expression: string): string[] {
  const { metrics, matchers, groupings } = namesIn(expression);
  const samples = [...families.values()].flatMap((family) => family.samples);
  const labelsOf = (metric: string) =>
    new Set([
      ...scraped,
      ...samples.flatMap(({ name, labels }) => (name === metric ? Object.keys(labels) : [])),
    ]);
  const known = (metric: string) => metric === "up" || samples.some(({ name }) => name === metric);
  const everywhere = new Set(metrics.flatMap((metric) => [...labelsOf(metric)]));
  return [
    ...metrics.filter((metric) => !known(metric)),
    ...groupings.filter((label) => !everywhere.has(label)).map((label) => `label ${label}`),
    ...matchers.flatMap(({ metric, label, value }) => {
      if (!labelsOf(metric).has(label)) return [`${metric}{${label}}`];
      if (scraped.has(label)) return [];
      const values = samples.flatMap(({ name, labels }) => (name === metric ? [labels[label]] : []));
      return value
        .split("|")
        .flatMap((each) => (values.includes(each) ? [] : [`${metric}{${label}="${each}"}`]));
    }),
  ];
}
