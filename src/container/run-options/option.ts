import type { Draft } from "./draft.ts";

/** One option of `docker run`: how it is written, and what it does here. */
export interface OptionSpec {
  /** Without dashes. */
  readonly name: string;
  readonly short?: string;
  /** Older spellings. */
  readonly aliases?: readonly string[];
  /** A switch takes a value only behind `=`. */
  readonly kind: "value" | "switch";
  readonly repeats: boolean;
  /** `--entrypoint=` says something; other values must not be empty. */
  readonly mayBeEmpty?: boolean;
  readonly rule: OptionRule;
}

/** `set` puts a value into the draft, or throws what is wrong with it as `config-invalid`. */
export type OptionRule = { readonly set: Setter } | { readonly refused: Refusal; readonly because: string };

/** `forbidden`: it would break what dewy promises; `not supported`: it has no place here. */
export type Refusal = "forbidden" | "not supported";

type Setter = (draft: Draft, value: string) => void;
type Spelling = Pick<OptionSpec, "short" | "aliases" | "mayBeEmpty">;

/** An option with one value. */
export function single(name: string, set: Setter, spelling: Spelling = {}): OptionSpec {
  return { name, kind: "value", repeats: false, rule: { set }, ...spelling };
}

/** An option that may be given several times. */
export function list(name: string, set: Setter, spelling: Spelling = {}): OptionSpec {
  return { name, kind: "value", repeats: true, rule: { set }, ...spelling };
}

export function toggle(name: string, set: (draft: Draft, on: boolean) => void): OptionSpec {
  const rule = { set: (draft: Draft, value: string) => set(draft, value === "true") };
  return { name, kind: "switch", repeats: false, rule };
}

/** An option of `docker run` that dewy does not take. */
export function refuse(
  refused: Refusal,
  name: string,
  kind: OptionSpec["kind"],
  because: string,
  spelling: Spelling = {},
): OptionSpec {
  return { name, kind, repeats: true, mayBeEmpty: true, rule: { refused, because }, ...spelling };
}
