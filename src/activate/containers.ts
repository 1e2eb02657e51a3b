import { cleanImages } from "../container/image/clean.ts";
import { digestOf, localImage, obtainImage } from "../container/image/obtain.ts";
import type { ContainerDeployment, DeployedImage } from "../container/plan/plan.ts";
import { runningVersion } from "../container/running.ts";
import type { ContainerRuntime, Image, RuntimeInfo } from "../container/runtime.ts";
import { messageOf } from "../errors.ts";
import { records } from "../events.ts";
import type { Log } from "../log.ts";
import type { ImageSource } from "../oci/image-source.ts";
import type { DeployableRelease, PlacedRelease } from "../release/release.ts";
import { labelsOfApp } from "../replicas/labels.ts";
import type { ReplicaSet } from "../replicas/replica-set.ts";
import { type Call, withDeadline } from "../util/async.ts";
import type { Clock } from "../util/time.ts";
import type {
  Activation,
  Delivery,
  DeliveryStatus,
  DeliverySteps,
  ObtainedRelease,
  PlacedReleases,
  Received,
} from "./delivery.ts";
import { mirrorCurrent } from "./housekeeping.ts";
import { RecordedDeployment } from "./recorded-deployment.ts";
import { releaseName, releaseTime } from "./release-name.ts";

export interface ContainerDeliveryDeps {
  readonly app: string;
  readonly root: string;
  readonly images: ImageSource;
  readonly runtime: ContainerRuntime;
  readonly replicas: ReplicaSet;
  /** `config-invalid`: the image does not fit what the operator chose. */
  readonly plan: (deployed: DeployedImage) => ContainerDeployment;
  /** `config-invalid`: the engine would ignore what the operator chose. */
  readonly checkEngine: (info: RuntimeInfo) => void;
  /** Of the operator's choice. */
  readonly setup: string;
  /** `--platform`; null: the engine's. */
  readonly platform: string | null;
  /** Where people and the Go original look for what runs. */
  readonly cacheDir: string;
  readonly clock: Clock;
  readonly log: Log;
}

interface DeliverableImage extends Pick<DeployableRelease, "tag" | "moving"> {
  readonly artifact: Pick<DeployableRelease["artifact"], "name" | "digest">;
}

const engineDeadlineMs = 60_000;

/** Images: pulled by the engine, rolled out container by container behind the proxy. */
export class ContainerDelivery implements Delivery {
  readonly arrival = "pulled";
  readonly setup: string;
  readonly #recorded: RecordedDeployment;
  /** Two deployments never have one name, however quickly they follow each other. */
  #lastDeployedMs = 0;
  #warnedOfRoot = false;

  constructor(private readonly deps: ContainerDeliveryDeps) {
    this.setup = deps.setup;
    this.#recorded = new RecordedDeployment(deps);
  }

  async find(c: Call): Promise<PlacedRelease | null> {
    const { runtime, app, root, log } = this.deps;
    try {
      const found = runningVersion(
        await runtime.list(labelsOfApp(app), withDeadline(c, engineDeadlineMs)),
        root,
      );
      if (found === null) return null;
      const { version: tag, digest, image: artifact, deployedAt } = found;
      log.info("Took over the running version", { tag });
      return {
        tag,
        digest,
        artifact,
        release: releaseName(deployedAt),
        since: deployedAt.toISOString(),
      };
    } catch (error) {
      c.signal.throwIfAborted();
      log.warn("What runs could not be found out", { error: messageOf(error) });
      return null;
    }
  }

  recover(current: PlacedRelease | null): void {
    mirrorCurrent(current, this.deps);
  }

  isIntact(): boolean {
    return !this.#recorded.imageIsGone && !this.deps.replicas.lacksImage;
  }

  restore(recorded: readonly PlacedRelease[]): PlacedRelease | null {
    return recorded[0] ?? null;
  }

  /**
   * The containers that run are taken over; while the engine is away it is tried again in the background. One that has
   * ended meanwhile is no crash: a restart of the engine, or an operator's `stop`, ends containers, too.
   */
  async resume(inPlace: PlacedRelease | null, c: Call): Promise<void> {
    if (inPlace === null) return;
    this.#lastDeployedMs = releaseTime(inPlace.release).getTime();
    await this.#recorded.resume(inPlace, c);
  }

  async obtain(release: DeployableRelease, c: Call, onReceived?: Received): Promise<ObtainedRelease> {
    const deps = onReceived === undefined ? this.deps : { ...this.deps, onProgress: onReceived };
    const { image, fetched } = await obtainImage(release, deps, c);
    return {
      digest: release.artifact.digest ?? digestOf(image),
      fetched,
      deliver: (steps, call) => this.#deliver(release, image, steps, call),
      [Symbol.dispose]() {},
    };
  }

  /** The recorded image by its digest, as long as the engine has it. */
  async revive({ tag, artifact: name, digest }: PlacedRelease, c: Call): Promise<ObtainedRelease | null> {
    const image =
      digest === null ? null : await localImage(digest, this.deps, withDeadline(c, engineDeadlineMs));
    if (digest === null || image === null) return null;
    // Its tag may have come to mean another image since.
    const placed = { tag, moving: true, artifact: { name, digest } };
    return {
      digest,
      fetched: false,
      deliver: (steps, call) => this.#deliver(placed, image, steps, call),
      [Symbol.dispose]() {},
    };
  }

  /** A pull asks the registry anew. */
  async forget(): Promise<void> {}

  restart(c: Call): Promise<void> {
    return this.deps.replicas.restart(c);
  }

  /** What an operator should know of; null: all is well. */
  get trouble(): string | null {
    return this.#recorded.trouble ?? this.deps.replicas.trouble;
  }

  status(): DeliveryStatus {
    const { trouble } = this.#recorded;
    return trouble === null ? this.deps.replicas.status() : { kind: "down", reason: trouble };
  }

  async tidyUp(placed: PlacedReleases, keep: number, c: Call): Promise<ReadonlySet<string>> {
    const { runtime, images, log } = this.deps;
    mirrorCurrent(placed.current, this.deps);
    const newestFirst = Object.keys(placed.releases).sort().reverse();
    const kept = new Set([
      ...newestFirst.slice(0, keep),
      ...[placed.current, placed.previous, placed.left ?? null].flatMap((each) => each?.release ?? []),
    ]);
    const keptDigests = newestFirst
      .filter((release) => kept.has(release))
      .map((release) => placed.releases[release]?.digest ?? null);
    const request = { repository: images.repository, keep, keptDigests };
    await cleanImages(runtime, request, log, withDeadline(c, engineDeadlineMs));
    return kept;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#recorded.giveUp();
  }

  async #deliver(
    release: DeliverableImage,
    image: Image,
    steps: DeliverySteps,
    c: Call,
  ): Promise<Activation> {
    const { replicas, plan, log, runtime, checkEngine } = this.deps;
    checkEngine(await runtime.info(withDeadline(c, engineDeadlineMs)));
    const deployedAt = this.#nextTime();
    const { tag, artifact } = release;
    const reference = await this.#referenceTo(image, release, c);
    const deployment = plan({ version: tag, digest: artifact.digest, image, reference, deployedAt });
    this.#warnOfRoot(deployment, artifact.name);
    steps.staged(null);
    await replicas.update(
      deployment,
      {
        returning: steps.returning ?? false,
        switched: (call) => steps.switched(null, call),
        commit: async () => {
          await steps.commit(releaseName(deployedAt));
          this.#recorded.giveUp();
        },
      },
      c,
    );
    await replicas.settled(c);
    log.info(records.deployDone, { tag });
    return { how: "rolled" };
  }

  /** A tag reads better than an id, as long as it means this very image and always will. */
  async #referenceTo(image: Image, { moving, artifact }: DeliverableImage, c: Call): Promise<string> {
    if (moving === true) return image.id;
    const named = await this.deps.runtime.image(artifact.name, withDeadline(c, engineDeadlineMs));
    return named?.id === image.id ? artifact.name : image.id;
  }

  #warnOfRoot({ rootByDefault }: ContainerDeployment, name: string): void {
    if (!rootByDefault || this.#warnedOfRoot) return;
    this.#warnedOfRoot = true;
    this.deps.log.warn("Containers run as root", {
      image: name,
      hint: "give the image a USER, or write -- --user UID:GID",
    });
  }

  #nextTime(): Date {
    const now = Math.floor(this.deps.clock.now().getTime() / 1000) * 1000;
    this.#lastDeployedMs = Math.max(now, this.#lastDeployedMs + 1000);
    return new Date(this.#lastDeployedMs);
  }
}
