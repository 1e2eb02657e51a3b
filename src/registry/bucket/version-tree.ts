import type { SelectPolicy } from "../../release/select.ts";
import type { ParsedVersion } from "../../release/version.ts";

/** All tags that begin with these numbers: `v2.` and `2.`, `v2.17.`. */
export interface Branch {
  readonly numbers: readonly number[];
  /** The beginnings of keys: a number may be there with `v` and without. */
  readonly prefixes: readonly string[];
}

export const root: Branch = { numbers: [], prefixes: [""] };

/** A branch of this many numbers holds tags; others hold branches. */
export const leafDepth = 2;

/**
 * The branches that hold versions the policy may admit, of those found when `parent`'s prefixes were listed up to
 * the next dot; the newest versions' first.
 */
export function branchesOf(
  parent: Branch,
  found: readonly string[],
  policy: SelectPolicy,
  below: ParsedVersion | null,
): Branch[] {
  const byNumber = new Map<number, string[]>();
  // MinIO tells a prefix again on each page of the keys that begin so.
  for (const prefix of new Set(found)) {
    const number = numberOf(parent, prefix);
    if (number !== null) byNumber.set(number, [...(byNumber.get(number) ?? []), prefix]);
  }
  return [...byNumber]
    .sort(([a], [b]) => b - a)
    .map(([number, prefixes]) => ({ numbers: [...parent.numbers, number], prefixes }))
    .filter(({ numbers }) => !isAbove(numbers, below))
    .filter(({ numbers }) => policy.scheme.mayBegin?.(numbers) ?? true);
}

/** The last number of `v2.17.`; null for what begins no version. */
function numberOf(parent: Branch, prefix: string): number | null {
  const above = parent.prefixes.find((candidate) => prefix.startsWith(candidate));
  if (above === undefined) return null;
  const own = prefix.slice(above.length);
  const digits = (parent === root ? /^v?(0|[1-9]\d*)\.$/ : /^(0|[1-9]\d*)\.$/).exec(own)?.[1];
  return digits !== undefined && Number.isSafeInteger(Number(digits)) ? Number(digits) : null;
}

/** Whether all versions that begin so are newer than `below`. */
function isAbove(numbers: readonly number[], below: ParsedVersion | null): boolean {
  for (const [index, number] of numbers.entries()) {
    const bound = below?.numbers[index];
    if (bound === undefined || number < bound) return false;
    if (number > bound) return true;
  }
  return false;
}
