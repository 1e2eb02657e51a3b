import type { Failure } from "./state.ts";

/** Whether what failed last is this release, as it is published. */
export function isFailureOf(
  failure: Failure | null,
  { tag, fingerprint }: Pick<Failure, "tag" | "fingerprint">,
): failure is Failure {
  return failure !== null && failure.tag === tag && failure.fingerprint === fingerprint;
}
