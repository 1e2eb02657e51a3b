import { nearest } from "../util/suggest.ts";
import { resolveReferences } from "./file-references.ts";
import type { TomlTable } from "./file-toml.ts";
import { variableProblem } from "./file-variables.ts";
import type { Environment } from "./load.ts";
import { type Problem, problemOf } from "./problem.ts";

/** A key that the file may have. */
export interface KeySpec {
  readonly name: string;
  readonly kind: "switch" | "value" | "values" | "word";
  /** The commands that have it. */
  readonly commands: readonly string[];
  /** What a value looks like: `DURATION`. */
  readonly shape: string;
}

/** What a configuration file says, its references resolved. */
export interface FileReading {
  /** By flag, as on the command line; a switch has "true" or "false". Empty for a key that has a problem. */
  readonly values: ReadonlyMap<string, readonly string[]>;
  /** The app's command; null: it says nothing of it. */
  readonly app: readonly string[] | null;
  /** Options of docker run. */
  readonly options: readonly string[] | null;
  readonly command: string | null;
  readonly variables: ReadonlyMap<string, string>;
  /** By key or variable what may be shown of its values, where something secret may have been put into them. */
  readonly masked: ReadonlyMap<string, readonly string[]>;
  readonly problems: readonly Problem[];
  /** Nothing is known of it: it is not there, or no TOML. */
  readonly unreadable?: boolean;
  readonly warnings: readonly string[];
}

const own = ["command", "app", "options", "env"];

/** Collects what a table says, and everything that is wrong with it. */
export class Reading {
  readonly #values = new Map<string, readonly string[]>();
  readonly #variables = new Map<string, string>();
  readonly #masked = new Map<string, readonly string[]>();
  readonly #problems: Problem[] = [];
  readonly #warnings = new Set<string>();
  #app: readonly string[] | null = null;
  #options: readonly string[] | null = null;
  #command: string | null = null;

  constructor(
    private readonly keys: readonly KeySpec[],
    private readonly env: Environment,
  ) {}

  read(table: TomlTable): void {
    for (const [key, value] of Object.entries(table)) {
      const spec = this.keys.find(({ name }) => name === key);
      if (key === "command") this.#command = this.#texts(key, value, "word")?.[0] ?? null;
      else if (key === "app") this.#app = this.#texts(key, value, "words");
      else if (key === "options") this.#options = this.#texts(key, value, "words");
      else if (key === "env") this.#readVariables(value);
      else if (spec === undefined) this.#unknown(key);
      else this.#values.set(key, this.#texts(key, value, spec.kind, spec.shape) ?? []);
    }
  }

  result(): FileReading {
    return {
      values: this.#values,
      app: this.#app,
      options: this.#options,
      command: this.#command,
      variables: this.#variables,
      masked: this.#masked,
      problems: this.#problems,
      warnings: [...this.#warnings],
    };
  }

  #unknown(key: string): void {
    const close = nearest(key, [...this.keys.map(({ name }) => name), ...own]);
    const hint =
      close === null
        ? "keys are the flags of dewy help, app, options, command and [env]"
        : `did you mean ${close}?`;
    this.#problems.push({ message: `there is no key ${shown(key)}`, hint });
  }

  #readVariables(table: unknown): void {
    if (!isTable(table)) {
      this.#problems.push({
        message: "env must be a table",
        hint: 'write [env], and below it GH_TOKEN = "…"',
      });
      return;
    }
    for (const [name, value] of Object.entries(table)) {
      const problem = variableProblem(name);
      if (problem !== null) this.#problems.push({ ...problem, message: `[env] ${problem.message}` });
      else {
        const text = typeof value === "boolean" ? String(value) : value;
        const [resolved] = this.#texts(name, text, "value", "VALUE") ?? [];
        if (resolved !== undefined) this.#variables.set(name, resolved);
      }
    }
  }

  /** null: it has a problem. */
  #texts(key: string, value: unknown, kind: KeySpec["kind"] | "words", shape = "WORD"): string[] | null {
    if (kind === "switch") {
      if (typeof value === "boolean") return [String(value)];
      return this.#wrong(key, "must be true or false, without quotes", `write ${key} = true`);
    }
    const isList = kind === "values" || kind === "words";
    if (Array.isArray(value) && !isList)
      return this.#wrong(key, "must be a single value", `write ${key} = "${shape}"`);
    if (!Array.isArray(value) && kind === "words")
      return this.#wrong(key, "must be a list", `write ${key} = ["…", "…"]`);
    const texts = (Array.isArray(value) ? value : [value]).map(plainText);
    if (!texts.every((text) => text !== null)) {
      return this.#wrong(key, "must be a text or a number", example(key, kind, shape));
    }
    if (kind !== "words" && texts.includes("")) return this.#wrong(key, "is empty", "leave it out");
    return this.#resolve(key, texts);
  }

  #resolve(key: string, texts: readonly string[]): string[] | null {
    try {
      const resolved = texts.map((text) => resolveReferences(text, this.env));
      for (const { warning } of resolved) if (warning !== null) this.#warnings.add(warning);
      if (resolved.some(({ masked }) => masked !== null)) {
        this.#masked.set(
          key,
          resolved.map(({ value, masked }) => masked ?? value),
        );
      }
      return resolved.map(({ value }) => value);
    } catch (error) {
      const { message, hint } = problemOf(error);
      return this.#wrong(key, message, hint, ": ");
    }
  }

  #wrong(key: string, what: string, hint: string | undefined, between = " "): null {
    this.#problems.push({ message: `${key}${between}${what}`, hint, about: key });
    return null;
  }
}

function plainText(value: unknown): string | null {
  if (typeof value === "string") return value;
  return typeof value === "number" && Number.isFinite(value) ? String(value) : null;
}

function example(key: string, kind: string, shape: string): string {
  return kind === "values" || kind === "words" ? `write ${key} = ["${shape}"]` : `write ${key} = "${shape}"`;
}

function isTable(value: unknown): value is TomlTable {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function shown(key: string): string {
  return /^[\w-]{1,60}$/.test(key) ? key : JSON.stringify(key.slice(0, 60));
}
