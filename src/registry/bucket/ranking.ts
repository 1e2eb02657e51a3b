import type { SelectPolicy } from "../../release/select.ts";
import { compareVersions, type ParsedVersion } from "../../release/version.ts";

/** As many of the newest tags are kept: the next ones down are asked for when none of them is a release any more. */
const defaultDepth = 16;

/** The newest tags that a policy admits, of any number offered, in bounded memory. Newest first. */
export class Ranking {
  /** Of the policy's slot. */
  readonly chosen: ParsedVersion[] = [];
  /** Of other slots. */
  readonly others: ParsedVersion[] = [];

  /** `below`: what is not older than it was looked at before, and is no choice any more. */
  constructor(
    private readonly policy: SelectPolicy,
    private readonly below: ParsedVersion | null,
    private readonly depth = defaultDepth,
  ) {}

  offer(tag: string): void {
    const { scheme, preRelease, slot } = this.policy;
    const version = scheme.parse(tag);
    if (version === null || !version.satisfies || (version.preRelease && !preRelease)) return;
    if (slot !== null && version.build !== slot) insert(this.others, version, this.depth);
    else if (this.below === null || compareVersions(version, this.below) < 0) {
      insert(this.chosen, version, this.depth);
    }
  }
}

function insert(ranked: ParsedVersion[], version: ParsedVersion, depth: number): void {
  const last = ranked.at(-1);
  if (ranked.length === depth && last !== undefined && compareVersions(version, last) <= 0) return;
  const at = ranked.findIndex((other) => compareVersions(version, other) > 0);
  ranked.splice(at < 0 ? ranked.length : at, 0, version);
  if (ranked.length > depth) ranked.pop();
}
