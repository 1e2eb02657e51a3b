import { rmSync } from "node:fs";
import { extractArchive } from "../artifact/extract/extract.ts";
import { records } from "../events.ts";
import type { DeployableRelease, PlacedRelease } from "../release/release.ts";
import { type Call, withDeadline } from "../util/async.ts";
import type { Activator } from "./activator.ts";
import type { Activation, Delivery, DeliverySteps, ObtainedRelease, PlacedReleases } from "./delivery.ts";
import { type HousekeepingDeps, mirrorCurrent, tidyUp } from "./housekeeping.ts";
import { forgetArtifact, type ObtainDeps, type ObtainedArtifact, obtainArtifact } from "./obtain.ts";
import { placedByOriginal } from "./takeover.ts";

export interface ArchiveDeps extends ObtainDeps, HousekeepingDeps {
  readonly activator: Activator;
}

const maxFilesInRelease = 1_000_000;
const extractDeadlineMs = 60 * 60_000;

/** Archives: downloaded, extracted into a directory of their own, `current` switched, the app told. */
export class ArchiveDelivery implements Delivery {
  readonly arrival = "downloaded";
  readonly setup = "";

  constructor(private readonly deps: ArchiveDeps) {}

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

  async obtain(release: DeployableRelease, c: Call): Promise<ObtainedRelease> {
    const artifact = await obtainArtifact(release, this.deps, c);
    return {
      digest: artifact.digest,
      fetched: !artifact.fromCache,
      deliver: (steps, call) => this.#deliver(release.tag, artifact, steps, call),
      [Symbol.dispose]: () => artifact[Symbol.dispose](),
    };
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

  tidyUp(placed: PlacedReleases, c: Call): Promise<ReadonlySet<string>> {
    return tidyUp(placed, this.deps, c);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.deps.activator[Symbol.asyncDispose]();
  }

  async #deliver(
    tag: string,
    artifact: ObtainedArtifact,
    steps: DeliverySteps,
    c: Call,
  ): Promise<Activation> {
    const { releases, activator } = this.deps;
    const release = await this.#stage(artifact, c);
    let committed = false;
    try {
      steps.staged(releases.pathOf(release));
      return await activator.activate(
        { tag, release },
        {
          switched: () => steps.switched(releases.pathOf(release)),
          async commit() {
            await steps.commit(release);
            committed = true;
          },
        },
        c,
      );
    } catch (error) {
      // What has been committed stands, whatever happens after it; what `current` leads to is never pulled away.
      if (!committed && releases.active() !== release) releases.remove(release);
      throw error;
    }
  }

  async #stage(artifact: ObtainedArtifact, c: Call): Promise<string> {
    const { releases, log, maxArtifactBytes } = this.deps;
    const limits = { maxBytes: maxArtifactBytes * 8, maxEntries: maxFilesInRelease };
    const release = await releases.stage(
      async (intoDir, call) => {
        await extractArchive(artifact.path, intoDir, limits, call);
      },
      withDeadline(c, extractDeadlineMs),
    );
    log.info(records.extract, { path: releases.pathOf(release) });
    return release;
  }
}
