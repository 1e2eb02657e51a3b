import { DewyError, messageOf } from "../errors.ts";
import { parseDuration } from "./time.ts";

type Parser<T> = (text: string) => T;
/** The parameters a URL takes, each with its parser. */
export type QuerySpec = Readonly<Record<string, Parser<unknown>>>;
/** null for an absent one. */
export type QueryValues<S extends QuerySpec> = { [K in keyof S]: ReturnType<S[K]> | null };

/** Parsers for query parameters; each throws an Error that says what would be right. */
export const text: Parser<string> = (value) => {
  if (value === "") throw new Error("is empty");
  return value;
};

export const flag: Parser<boolean> = (value) => {
  if (value === "true" || value === "1") return true;
  if (value === "false" || value === "0") return false;
  throw new Error(`is "${value}"; write true or false`);
};

export const duration: Parser<number> = (value) => {
  try {
    return parseDuration(value);
  } catch (error) {
    throw new Error(`is "${value}"; ${error instanceof DewyError ? error.hint : messageOf(error)}`);
  }
};

/**
 * Reads the query of a driver's URL. Absent parameters are null. Unknown, repeated and malformed ones are
 * `config-invalid`, all in one error, so that nothing is silently ignored.
 */
export function readQuery<S extends QuerySpec>(url: URL, spec: S): QueryValues<S> {
  // Each value was made by the parser of its name.
  return parseAll(url, spec) as QueryValues<S>;
}

/** The same where two parts of dewy have a say in one URL. */
export function readQueries<A extends QuerySpec, B extends QuerySpec>(
  url: URL,
  first: A,
  second: B,
): readonly [QueryValues<A>, QueryValues<B>] {
  const values = parseAll(url, { ...first, ...second });
  return [values as QueryValues<A>, values as QueryValues<B>];
}

function parseAll(url: URL, spec: QuerySpec): Record<string, unknown> {
  const unknown = unknownIn(url, spec);
  const problems = unknown.map(({ shown }) => shown);
  for (const name of Object.keys(spec)) {
    if (url.searchParams.getAll(name).length > 1) problems.push(`"${name}" is given more than once`);
  }
  const values: Record<string, unknown> = {};
  for (const [name, parse] of Object.entries(spec)) {
    const raw = url.searchParams.get(name);
    try {
      values[name] = raw === null ? null : parse(raw);
    } catch (error) {
      problems.push(`"${name}" ${messageOf(error)}`);
    }
  }
  if (problems.length > 0) {
    const names = Object.keys(spec).join(", ");
    const known = names === "" ? "this URL takes no parameters" : `known parameters: ${names}`;
    throw new DewyError(
      "config-invalid",
      `${url.protocol}//${url.host}${url.pathname}: ${problems.join("; ")}`,
      { hint: unknown.some(({ isPiece }) => isPiece) ? `write & in a value as %26; ${known}` : known },
    );
  }
  return values;
}

interface Unknown {
  readonly shown: string;
  /** It may be the rest of a value with an `&` in it. */
  readonly isPiece: boolean;
}

/** A piece of a password is no name: what has no value, or stands behind a secret, is not shown. */
function unknownIn(url: URL, spec: QuerySpec): Unknown[] {
  const pairs = url.search
    .slice(1)
    .split("&")
    .filter((pair) => pair !== "");
  const found = pairs.flatMap((pair, index): Unknown[] => {
    const name = nameOf(pair);
    if (Object.hasOwn(spec, name)) return [];
    const before = nameOf(pairs[index - 1] ?? "");
    if (/^(password|token|secret)$/.test(before)) {
      return [{ shown: `an unknown parameter behind "${before}"`, isPiece: true }];
    }
    if (!pair.includes("=")) return [{ shown: "an unknown parameter without a value", isPiece: true }];
    return [{ shown: `unknown parameter "${name}"`, isPiece: false }];
  });
  return found.filter((each, index) => found.findIndex(({ shown }) => shown === each.shown) === index);
}

function nameOf(pair: string): string {
  return [...new URLSearchParams(pair).keys()][0] ?? "";
}
