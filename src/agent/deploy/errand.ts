import type { Delivery, ObtainedRelease, Received } from "../../activate/delivery.ts";
import { DewyError } from "../../errors.ts";
import type { Registry } from "../../registry/registry.ts";
import { fingerprint } from "../../release/fingerprint.ts";
import type { DeployableRelease, PlacedRelease } from "../../release/release.ts";
import { type Call, withDeadline } from "../../util/async.ts";
import type { Left } from "../back/hold.ts";
import type { Origin, State } from "../state.ts";

/** What is to be deployed, and why. */
export interface Errand {
  readonly tag: string;
  readonly artifact: string;
  /** Of what is published; empty: of what this host kept, and nobody knows. */
  readonly fingerprint: string;
  /** Null for a release that this host kept. */
  readonly published: DeployableRelease | null;
  readonly kept: PlacedRelease | null;
  readonly origin: Origin;
  /** What an operator leaves for it, and is not to come back by itself; null: nothing. */
  readonly left: Left | null;
  /** Why the release before it is left; null: it failed nowhere. */
  readonly reason: string | null;
  obtain(c: Call, onReceived: Received): Promise<ObtainedRelease>;
}

type Why = Pick<Errand, "origin"> & Partial<Pick<Errand, "left" | "reason">>;

const findDeadlineMs = 5 * 60_000;

export function publishedErrand(release: DeployableRelease, delivery: Delivery, why: Why): Errand {
  return {
    tag: release.tag,
    artifact: release.artifact.name,
    fingerprint: fingerprint(release, delivery.setup),
    published: release,
    kept: null,
    left: null,
    reason: null,
    ...why,
    obtain: (c, onReceived) => delivery.obtain(release, c, onReceived),
  };
}

/** From what this host kept of it, else from the registry, if that has the same still. */
export function keptErrand(
  placed: PlacedRelease,
  deps: { readonly delivery: Delivery; readonly registry: Registry; readonly state: State },
  why: Why,
): Errand {
  return {
    tag: placed.tag,
    artifact: placed.artifact,
    fingerprint: deps.state.releases[placed.release]?.fingerprint ?? "",
    published: null,
    kept: placed,
    left: null,
    reason: null,
    ...why,
    obtain: async (c, onReceived) =>
      (await deps.delivery.revive(placed, c)) ?? (await obtainAgain(placed, deps, onReceived, c)),
  };
}

async function obtainAgain(
  { tag, digest }: PlacedRelease,
  { delivery, registry }: { readonly delivery: Delivery; readonly registry: Registry },
  onReceived: Received,
  c: Call,
): Promise<ObtainedRelease> {
  const hint = `publish ${tag} again, or put another one in place with \`dewy deploy TAG\``;
  const release = await findRelease(tag, registry, c, hint);
  const isIt = (obtained: ObtainedRelease) => digest === null || obtained.digest === digest;
  const first = await delivery.obtain(release, c, onReceived);
  if (isIt(first)) return first;
  first[Symbol.dispose]();
  // It may have come from a cache.
  await delivery.forget(release, c);
  const second = await delivery.obtain(release, c, onReceived);
  if (isIt(second)) return second;
  second[Symbol.dispose]();
  throw new DewyError("not-found", `${tag} was published again: what ran here under it is gone`, {
    hint: `\`dewy deploy ${tag}\` deploys what is published now`,
    retryable: false,
  });
}

/** `not-found` or `artifact-missing` where it can't be deployed. */
export async function findRelease(
  tag: string,
  registry: Registry,
  c: Call,
  hint = "check the tag; `dewy history` lists what was deployed here",
): Promise<DeployableRelease> {
  const release = await registry.find(tag, withDeadline(c, findDeadlineMs));
  if (release === null) {
    throw new DewyError("not-found", `the registry has no release ${tag}`, {
      hint,
      retryable: false,
    });
  }
  if (release.artifact === null) throw artifactMissing(tag);
  return { ...release, artifact: release.artifact };
}

export function artifactMissing(tag: string): DewyError {
  return new DewyError("artifact-missing", `release ${tag} has no artifact for this host`, {
    hint: "publish an archive whose name holds this OS and architecture, or name it with artifact=",
  });
}
