import { localImage } from "../container/image/obtain.ts";
import type { DeployedImage } from "../container/plan/plan.ts";
import { runningVersion } from "../container/running.ts";
import type { ContainerRuntime, Image } from "../container/runtime.ts";
import { DewyError, toDewyError } from "../errors.ts";
import type { Log } from "../log.ts";
import type { ImageSource } from "../oci/image-source.ts";
import type { PlacedRelease } from "../release/release.ts";
import type { Deployment } from "../replicas/deployment.ts";
import { labelsOfApp } from "../replicas/labels.ts";
import type { ReplicaSet } from "../replicas/replica-set.ts";
import { type Call, withDeadline } from "../util/async.ts";
import type { Clock } from "../util/time.ts";
import { releaseTime } from "./release-name.ts";

interface RecordedDeps {
  readonly app: string;
  readonly root: string;
  readonly images: ImageSource;
  readonly runtime: ContainerRuntime;
  readonly replicas: Pick<ReplicaSet, "resume">;
  readonly plan: (deployed: DeployedImage) => Deployment;
  readonly clock: Clock;
  readonly log: Log;
}

const engineDeadlineMs = 60_000;
const slowestRetryMs = 10_000;

type Progress =
  | { readonly kind: "done" }
  | { readonly kind: "waiting"; readonly reason: string }
  /** Only a deploy brings it back. */
  | { readonly kind: "image-gone"; readonly reason: string };

/** The recorded release on its way back into service after the agent's start, however long the engine is away. */
export class RecordedDeployment {
  readonly #over = new AbortController();
  #progress: Progress = { kind: "done" };

  constructor(private readonly deps: RecordedDeps) {}

  get imageIsGone(): boolean {
    return this.#progress.kind === "image-gone";
  }

  /** Why it does not serve yet; null: it does, or somebody else sees to it. */
  get trouble(): string | null {
    return this.#progress.kind === "done" ? null : this.#progress.reason;
  }

  /** Another deployment has taken its place, or the agent ends. */
  giveUp(): void {
    this.#over.abort();
    this.#progress = { kind: "done" };
  }

  /** Takes over the containers that run. Resolves after the first try; others follow in the background. */
  async resume(recorded: PlacedRelease, c: Call): Promise<void> {
    const call: Call = { signal: AbortSignal.any([c.signal, this.#over.signal]) };
    if (!(await this.#isSettled(recorded, call))) void this.#tryOn(recorded, call);
  }

  async #tryOn(recorded: PlacedRelease, c: Call): Promise<void> {
    try {
      for (let waitMs = 500; ; waitMs = Math.min(waitMs * 2, slowestRetryMs)) {
        await this.deps.clock.sleep(waitMs, c.signal);
        if (await this.#isSettled(recorded, c)) return;
      }
    } catch {
      // given up
    }
  }

  /** false: the engine does not answer, or not well. Rejects only when `c` aborts. */
  async #isSettled(recorded: PlacedRelease, c: Call): Promise<boolean> {
    const { replicas, plan } = this.deps;
    try {
      const image = await this.#image(recorded, withDeadline(c, engineDeadlineMs));
      const { tag: version, digest, release, artifact } = recorded;
      const reference = image.tags.includes(artifact) ? artifact : image.id;
      const deployedAt = releaseTime(release);
      await replicas.resume(plan({ version, digest, image, reference, deployedAt }), c);
      this.#progress = { kind: "done" };
      return true;
    } catch (error) {
      c.signal.throwIfAborted();
      return this.#failed(toDewyError(error, "take over the containers"));
    }
  }

  /** Said once for each reason. */
  #failed({ code, message, hint }: DewyError): boolean {
    const gone = code === "not-found";
    if (this.trouble !== message) {
      this.deps.log.warn("Recorded version not running yet", { error: message, hint });
    }
    this.#progress = { kind: gone ? "image-gone" : "waiting", reason: message };
    return gone;
  }

  /** By digest, by what its containers were made from, or by name; `not-found`: it is not on this host. */
  async #image({ tag, digest, artifact }: PlacedRelease, c: Call): Promise<Image> {
    const { runtime, app, root } = this.deps;
    const byDigest = digest === null ? null : await localImage(digest, this.deps, c);
    if (byDigest !== null) return byDigest;
    const running = runningVersion(await runtime.list(labelsOfApp(app), c), root);
    const same = running !== null && running.version === tag && running.digest === digest;
    const image =
      (same ? await runtime.image(running.imageId, c) : null) ??
      (digest === null ? await runtime.image(artifact, c) : null);
    if (image !== null) return image;
    throw new DewyError("not-found", `the image of ${tag} is not on this host any more`, {
      hint: "it is pulled again at the next check",
    });
  }
}
