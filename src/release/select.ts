import { compareVersions, type ParsedVersion, type VersionScheme } from "./version.ts";

/** Which releases a host wants. */
export interface SelectPolicy {
  readonly scheme: VersionScheme;
  readonly preRelease: boolean;
  /** Only tags whose build metadata equals it. */
  readonly slot: string | null;
}

export interface Selection {
  /** The newest tag the policy admits. */
  readonly tag: string | null;
  /** A newer tag passed over only because it belongs to another slot. */
  readonly otherSlot: string | null;
}

/** Filters first and takes the newest then, so that a newer `+green` never starves `blue`. */
export function selectTag(tags: readonly string[], policy: SelectPolicy): Selection {
  const admitted = tags
    .map((tag) => policy.scheme.parse(tag))
    .filter((version) => version !== null)
    .filter((version) => version.satisfies && (policy.preRelease || !version.preRelease));
  const chosen = newest(admitted.filter((version) => inSlot(version, policy.slot)));
  const overall = newest(admitted);
  const passedOver = overall !== null && !inSlot(overall, policy.slot);
  return { tag: chosen?.tag ?? null, otherSlot: passedOver ? overall.tag : null };
}

function inSlot(version: ParsedVersion, slot: string | null): boolean {
  return slot === null || version.build === slot;
}

function newest(versions: readonly ParsedVersion[]): ParsedVersion | null {
  return versions.reduce<ParsedVersion | null>(
    (best, version) => (best === null || compareVersions(version, best) > 0 ? version : best),
    null,
  );
}
