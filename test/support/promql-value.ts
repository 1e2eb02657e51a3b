/** One series and its value. */
export interface Point {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}
export type Value = number | readonly Point[];

/** Of two values by an operator of Prometheus' query language; `on`: the labels that are compared, null: all. */
export function combine(operator: string, left: Value, right: Value, on: readonly string[] | null): Value {
  const compute = arithmetic[operator];
  if (typeof left === "number" && typeof right === "number" && compute !== undefined)
    return compute(left, right);
  if (operator === "and" || operator === "unless" || operator === "or") {
    const [ours, theirs] = [vectorOf(left), vectorOf(right)];
    const has = ({ labels }: Point, list: readonly Point[]) =>
      list.some((other) => keyOf(other.labels, on) === keyOf(labels, on));
    if (operator === "or") return [...ours, ...theirs.filter((point) => !has(point, ours))];
    return ours.filter((point) => has(point, theirs) === (operator === "and"));
  }
  const pairs = typeof left === "number" ? vectorOf(right) : left;
  return pairs.flatMap(({ labels, value }) => {
    const a = typeof left === "number" ? left : value;
    const b = typeof right === "number" ? right : matched(right, labels, on);
    if (b === undefined) return [];
    if (compute !== undefined) return [{ labels, value: compute(a, b) }];
    const isTrue = comparisons[operator];
    if (isTrue === undefined) throw new Error(`no operator: ${operator}`);
    return isTrue(a, b) ? [{ labels, value }] : [];
  });
}

function matched(list: readonly Point[], labels: Point["labels"], on: readonly string[] | null) {
  return list.find((other) => keyOf(other.labels, on) === keyOf(labels, on))?.value;
}

type Comparison = (a: number, b: number) => boolean;
type Arithmetic = (a: number, b: number) => number;
const comparisons: Readonly<Record<string, Comparison | undefined>> = {
  "==": (a, b) => a === b,
  "!=": (a, b) => a !== b,
  "<": (a, b) => a < b,
  "<=": (a, b) => a <= b,
  ">": (a, b) => a > b,
  ">=": (a, b) => a >= b,
};
const arithmetic: Readonly<Record<string, Arithmetic | undefined>> = {
  "+": (a, b) => a + b,
  "-": (a, b) => a - b,
  "*": (a, b) => a * b,
  "/": (a, b) => a / b,
};

export function vectorOf(value: Value): readonly Point[] {
  if (typeof value === "number") throw new Error("series expected, not a number");
  return value;
}

export function keyOf(labels: Point["labels"], on: readonly string[] | null = null): string {
  return JSON.stringify(
    Object.entries(labels)
      .filter(([name]) => on === null || on.includes(name))
      .sort(),
  );
}
