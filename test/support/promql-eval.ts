import type { Sample } from "./exposition.ts";
import { combine, keyOf, type Point, type Value, vectorOf } from "./promql-value.ts";

/** What one scrape of one target brought. */
export interface Scrape {
  /** Unix time. */
  readonly atSeconds: number;
  readonly samples: readonly Sample[];
}

const token =
  /\s*(?:(?<word>[a-zA-Z_:][\w:]*)|(?<number>\d+(?:\.\d+)?)|(?<string>"[^"]*")|(?<sign>[=!]~|[=!<>]=|[-+*/<>=(){},[\]]))/y;
/** Loosest first. */
const operators = [["or"], ["and", "unless"], ["==", "!=", "<=", "<", ">=", ">"], ["+", "-"], ["*", "/"]];
const unitSeconds: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

/**
 * What an expression of Prometheus' query language says at the last of the scrapes: as much of the language as alerts
 * need. `increase` is the plain difference, without Prometheus' guess at what was before and behind the scrapes. Throws
 * on what it does not know.
 */
export function evaluate(expression: string, scrapes: readonly Scrape[]): readonly Point[] {
  const value = new Evaluation(expression, scrapes).run();
  if (typeof value === "number") throw new Error(`a number, no series: ${expression}`);
  return value;
}

class Evaluation {
  readonly #tokens: string[] = [];

  constructor(
    private readonly expression: string,
    private readonly scrapes: readonly Scrape[],
  ) {
    token.lastIndex = 0;
    for (const text = expression.trimEnd(); token.lastIndex < text.length; ) {
      const at = token.lastIndex;
      const found = token.exec(text);
      if (found === null) throw new Error(`not understood at ${at}: ${expression}`);
      this.#tokens.push(found[0].trim());
    }
  }

  run(): Value {
    const value = this.#operation(0);
    if (this.#tokens.length > 0) throw new Error(`not understood: ${this.#tokens.join(" ")}`);
    return value;
  }

  #operation(level: number): Value {
    const own = operators[level];
    if (own === undefined) return this.#primary();
    let left = this.#operation(level + 1);
    while (own.includes(this.#tokens[0] ?? "")) {
      const operator = this.#take();
      const on = this.#takeIf("on") ? this.#labelList() : null;
      left = combine(operator, left, this.#operation(level + 1), on);
    }
    return left;
  }

  #primary(): Value {
    const word = this.#take();
    if (word === "(") {
      const inner = this.#operation(0);
      this.#expect(")");
      return inner;
    }
    if (/^\d/.test(word)) return Number(word);
    if (word === "sum") return this.#sum();
    if (this.#tokens[0] === "(") return this.#call(word);
    return this.#selected(word, this.#now());
  }

  #sum(): Value {
    this.#expect("without");
    const without = this.#labelList();
    this.#expect("(");
    const points = vectorOf(this.#operation(0));
    this.#expect(")");
    const sums = new Map<string, Point>();
    for (const { labels, value } of points) {
      const kept = Object.fromEntries(Object.entries(labels).filter(([name]) => !without.includes(name)));
      const key = keyOf(kept);
      sums.set(key, { labels: kept, value: (sums.get(key)?.value ?? 0) + value });
    }
    return [...sums.values()];
  }

  #call(name: string): Value {
    this.#expect("(");
    if (name === "time") {
      this.#expect(")");
      return this.#now().atSeconds;
    }
    if (name === "clamp_min") {
      const points = vectorOf(this.#operation(0));
      this.#expect(",");
      const least = this.#operation(0);
      this.#expect(")");
      if (typeof least !== "number") throw new Error("clamp_min takes a number");
      return points.map(({ labels, value }) => ({ labels, value: Math.max(value, least) }));
    }
    const overTime = overTimes[name];
    if (overTime === undefined) throw new Error(`no function: ${name}`);
    const result = this.#overRange(overTime);
    this.#expect(")");
    return result;
  }

  #overRange(overTime: (values: readonly number[]) => number): readonly Point[] {
    const metric = this.#take();
    const at = [...this.#tokens];
    this.#selected(metric, this.#now());
    this.#expect("[");
    const seconds = Number(this.#take()) * (unitSeconds[this.#take()] ?? Number.NaN);
    this.#expect("]");
    const behind = [...this.#tokens];
    const within = this.scrapes.filter(({ atSeconds }) => atSeconds >= this.#now().atSeconds - seconds);
    const series = new Map<string, { labels: Point["labels"]; values: number[] }>();
    for (const scrape of within) {
      this.#tokens.splice(0, this.#tokens.length, ...at);
      for (const { labels, value } of this.#selected(metric, scrape)) {
        const known = series.get(keyOf(labels)) ?? { labels, values: [] };
        known.values.push(value);
        series.set(keyOf(labels), known);
      }
    }
    this.#tokens.splice(0, this.#tokens.length, ...behind);
    const enough = [...series.values()].filter(({ values }) => values.length > 1);
    return enough.map(({ labels, values }) => ({ labels, value: overTime(values) }));
  }

  #selected(metric: string, { samples }: Scrape): readonly Point[] {
    const matchers: ((labels: Point["labels"]) => boolean)[] = [];
    if (this.#takeIf("{")) {
      while (!this.#takeIf("}")) {
        const [label, operator, text] = [this.#take(), this.#take(), this.#take().slice(1, -1)];
        if (operator !== "=" && operator !== "=~") throw new Error(`no matcher: ${operator}`);
        const wanted = operator === "=" ? [text] : text.split("|");
        matchers.push((labels) => wanted.includes(labels[label] ?? ""));
        this.#takeIf(",");
      }
    }
    return samples.filter(({ name, labels }) => name === metric && matchers.every((match) => match(labels)));
  }

  #labelList(): readonly string[] {
    const labels: string[] = [];
    this.#expect("(");
    while (!this.#takeIf(")")) {
      labels.push(this.#take());
      this.#takeIf(",");
    }
    return labels;
  }

  #now(): Scrape {
    const last = this.scrapes.at(-1);
    if (last === undefined) throw new Error("nothing was scraped");
    return last;
  }

  #take(): string {
    const next = this.#tokens.shift();
    if (next === undefined) throw new Error(`ends too soon: ${this.expression}`);
    return next;
  }

  #takeIf(wanted: string): boolean {
    const isNext = this.#tokens[0] === wanted;
    if (isNext) this.#tokens.shift();
    return isNext;
  }

  #expect(wanted: string): void {
    const found = this.#take();
    if (found !== wanted) throw new Error(`${wanted} expected, not ${found}: ${this.expression}`);
  }
}

const overTimes: Readonly<Record<string, ((values: readonly number[]) => number) | undefined>> = {
  // A counter that has become smaller began anew.
  increase: (values) => steps(values).reduce((sum, [from, to]) => sum + (to >= from ? to - from : to), 0),
  changes: (values) => steps(values).filter(([from, to]) => from !== to).length,
};

function steps(values: readonly number[]): (readonly [number, number])[] {
  return values.slice(1).map((to, index) => [values[index] ?? 0, to]);
}
