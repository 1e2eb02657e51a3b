import { rmSync } from "node:fs";
import { extractArchive } from "../artifact/extract/extract.ts";
import { records } from "../events.ts";
import type { DeployableRelease, PlacedRelease } from "../release/release.ts";
import { type Call, withDeadline } from "../util/async.ts";
import type { User } from "../util/user.ts";
import type { Activator, StagedArtifact } from "./activator.ts";
import type {
  Activation,
  Delivery,
  DeliverySteps,
  ObtainedRelease,
  PlacedReleases,
  Received,
} from "./delivery.ts";
import { type HousekeepingDeps, mirrorCurrent, tidyUp } from "./housekeeping.ts";
import { linkPaths, type ReleaseLink } from "./links.ts";
import {
  forgetArtifact,
  type ObtainDeps,
  type ObtainedArtifact,
  obtainArtifact,
  reviveArtifact,
} from "./obtain.ts";
import { placedByOriginal } from "./takeover.ts";

export interface ArchiveDeps extends ObtainDeps, HousekeepingDeps {
  readonly activator: Activator;
  /** What each release is given of what outlives it, with absolute sources. */
  readonly links: readonly ReleaseLink[];
  readonly root: string;
  /** Whom the app runs as, and what is made for it belongs to; null: as the agent. */
  readonly user: User | null;
}

const maxFilesInRelease = 1_000_000;
const extractDeadlineMs = 60 * 60_000;

/** Archives: downloaded, extracted into a directory of their own, `current` switched, the app told. */
export class ArchiveDelivery implements Delivery {
  readonly arrival = "downloaded";
  readonly setup: string;

  constructor(private readonly deps: ArchiveDeps) {
    this.setup = setupOf(deps);
  }

  find(c: Call): Promise<PlacedRelease | null> {
    const { releases, cacheDir, log } = this.deps;
    return placedByOriginal(releases, cacheDir, log, c);
  }

  recover(current: PlacedRelease | null): void {
    this.deps.releases.recover();
    rmSync(this.deps.tmpDir, { recursive: true, force: true });
    mirrorCurrent(current, this.deps);
  }

  isIntact(current: PlacedRelease): boolean {
    return this.deps.releases.active() === current.release;
  }

  /**
   * A crash between the switch and the commit leaves `current` ahead of the record, a full disk may keep it from
   * being switched back: the record is what is good.
   */
  restore(recorded: readonly PlacedRelease[]): PlacedRelease | null {
    const { releases, log } = this.deps;
    const there = recorded.find(({ release }) => releases.has(release));
    if (there === undefined) return null;
    const { tag, release } = there;
    if (releases.active() !== release) {
      log.warn("Restored the recorded release", { tag, path: releases.pathOf(release) });
      releases.switchTo(release);
    }
    return there;
  }

  /** With the record lost, what is in place is better than nothing. */
  resume(inPlace: PlacedRelease | null, c: Call): Promise<void> {
    return this.deps.activator.resume(inPlace?.release ?? this.deps.releases.active(), c);
  }

  async obtain(release: DeployableRelease, c: Call, onReceived?: Received): Promise<ObtainedRelease> {
    const deps = onReceived === undefined ? this.deps : { ...this.deps, onProgress: onReceived };
    return this.#obtained(release.tag, await obtainArtifact(release, deps, c));
  }

  /** Its directory, or its bytes in this host's cache if they are the recorded ones. */
  async revive(placed: PlacedRelease, c: Call): Promise<ObtainedRelease | null> {
    const { tag, release, digest } = placed;
    if (this.deps.releases.has(release)) {
      return {
        digest,
        fetched: false,
        deliver: (steps, call) => this.#activate({ tag, release }, { steps, isNew: false }, call),
        [Symbol.dispose]() {},
      };
    }
    const artifact = await reviveArtifact(placed, this.deps, c);
    return artifact && this.#obtained(tag, artifact);
  }

  forget(release: DeployableRelease, c: Call): Promise<void> {
    return forgetArtifact(release, this.deps, c);
  }

  restart(c: Call): Promise<void> {
    return this.deps.activator.restart(c);
  }

  status() {
    return this.deps.activator.status();
  }

  tidyUp(placed: PlacedReleases, keep: number, c: Call): Promise<ReadonlySet<string>> {
    return tidyUp(placed, keep, this.deps, c);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.deps.activator[Symbol.asyncDispose]();
  }

  #obtained(tag: string, artifact: ObtainedArtifact): ObtainedRelease {
    return {
      digest: artifact.digest,
      fetched: !artifact.fromCache,
      deliver: async (steps, c) => {
        const release = await this.#stage(artifact, c);
        return this.#activate({ tag, release }, { steps, isNew: true }, c);
      },
      [Symbol.dispose]: () => artifact[Symbol.dispose](),
    };
  }

  async #activate(
    staged: StagedArtifact,
    { steps, isNew }: { readonly steps: DeliverySteps; readonly isNew: boolean },
    c: Call,
  ): Promise<Activation> {
    const { releases, activator } = this.deps;
    const { release } = staged;
    let committed = false;
    try {
      steps.staged(releases.pathOf(release));
      return await activator.activate(
        { ...staged, returning: steps.returning ?? false },
        {
          switched: () => steps.switched(releases.pathOf(release), c),
          async commit() {
            await steps.commit(release);
            committed = true;
          },
        },
        c,
      );
    } catch (error) {
      // What has been committed stands, whatever happens after it; what `current` leads to is never pulled away.
      if (isNew && !committed && releases.active() !== release) releases.remove(release);
      throw error;
    }
  }

  async #stage(artifact: ObtainedArtifact, c: Call): Promise<string> {
    const { releases, log, maxArtifactBytes, links, root, user } = this.deps;
    const limits = { maxBytes: maxArtifactBytes * 8, maxEntries: maxFilesInRelease };
    const release = await releases.stage(
      async (intoDir, call) => {
        await extractArchive(artifact.path, intoDir, limits, call);
        linkPaths(intoDir, links, { root, owner: user });
      },
      withDeadline(c, extractDeadlineMs),
    );
    log.info(records.extract, { path: releases.pathOf(release) });
    return release;
  }
}

/** A release that failed may work once it is linked otherwise, or run as somebody else. */
function setupOf({ links, user }: Pick<ArchiveDeps, "links" | "user">): string {
  if (links.length === 0 && user === null) return "";
  const choice = JSON.stringify([links.map(({ from, to }) => [from, to]), user?.uid, user?.gid]);
  return new Bun.CryptoHasher("sha256").update(choice).digest("hex").slice(0, 8);
}
