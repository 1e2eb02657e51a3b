import type { Delivery, ObtainedRelease, Received } from "../../activate/delivery.ts";
import { DewyError } from "../../errors.ts";
import type { Registry } from "../../registry/registry.ts";
import { fingerprint } from "../../release/fingerprint.ts";
import type { Cause, DeployableRelease, PlacedRelease } from "../../release/release.ts";
import { type Call, withDeadline } from "../../util/async.ts";
import type { Left } from "../back/hold.ts";
import type { State } from "../state.ts";

/** What is to be deployed, and why. */
export interface Errand {
  readonly tag: string;
  readonly artifact: string;
  /** Of what is published; empty: of what this host kept, and nobody knows. */
  readonly fingerprint: string;
  /** Null for a release that this host kept. */
  readonly published: DeployableRelease | null;
  readonly kept: PlacedRelease | null;
  readonly cause: Cause;
  /** What an operator leaves for it, and is not to come back by itself; null: nothing. */
  readonly left: Left | null;
  /** Why the release before it is left; null: it failed nowhere. */
  readonly reason: string | null;
  obtain(c: Call, onReceived: Received): Promise<ObtainedRelease>;
}

type Why = Pick<Errand, "cause"> & Partial<Pick<Errand, "left" | "reason">>;

interface KeptDeps {
  readonly delivery: Delivery;
  readonly registry: Registry;
}

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

/** What ran here under a tag can't be had any more, as other content is published under it. */
export class PublishedAgain extends DewyError {
  constructor(
    tag: string,
    /** Of that other content. */
    readonly fingerprint: string,
  ) {
    super("not-found", `${tag} was published again: what ran here under it is gone`, {
      hint: `\`dewy deploy ${tag}\` deploys what is published now`,
      retryable: false,
    });
  }
}

/** From what this host kept of it, else from the registry, if that has the same still. */
export function keptErrand(
  placed: PlacedRelease,
  deps: KeptDeps & { readonly state: State },
  why: Why,
): Errand {
  // An operator may know better.
  const unlike = why.cause === "retreat" ? (deps.state.stranded?.unlike ?? null) : null;
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
      (await deps.delivery.revive(placed, c)) ??
      (await obtainAgain(placed, { ...deps, unlike }, onReceived, c)),
  };
}

async function obtainAgain(
  { tag, digest }: PlacedRelease,
  { delivery, registry, unlike }: KeptDeps & { readonly unlike: string | null },
  onReceived: Received,
  c: Call,
): Promise<ObtainedRelease> {
  const hint = `publish ${tag} again, or put another one in place with \`dewy deploy TAG\``;
  const release = await findRelease(tag, registry, c, hint);
  const other = new PublishedAgain(tag, fingerprint(release, delivery.setup));
  if (other.fingerprint === unlike) throw other;
  const isIt = (obtained: ObtainedRelease) => digest === null || obtained.digest === digest;
  const first = await delivery.obtain(release, c, onReceived);
  if (isIt(first)) return first;
  first[Symbol.dispose]();
  if (first.fetched) throw other;
  // What this host's cache holds may have been published in between.
  await delivery.forget(release, c);
  const second = await delivery.obtain(release, c, onReceived);
  if (isIt(second)) return second;
  second[Symbol.dispose]();
  throw other;
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
