import type { Clock } from "../../util/time.ts";
import type { PullProgress } from "../runtime.ts";
import type { Engine } from "./api.ts";

const everyMs = 300;

/** Words of the two engines' progress; Podman unpacks while it downloads, and counts the configuration as a layer. */
const layerDone = {
  docker: new Set(["Pull complete", "Already exists"]),
  podman: new Set(["Download complete", "Pull complete", "Already exists"]),
} as const;
const layerSeen = new Set(["Pulling fs layer", "Waiting", "Downloading", "Already exists"]);

/** Counts layers and knows whether the last line was the one that ends a whole pull. */
export class PullTracker {
  readonly #layers = new Set<string>();
  readonly #done = new Set<string>();
  /** By layer; unpacking counts from zero again. */
  readonly #bytes = new Map<string, number>();
  #last = { status: "", id: "" };
  #saidAtMs = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly engine: Engine["name"],
    private readonly onProgress: (progress: PullProgress) => void,
    private readonly clock: Clock,
  ) {}

  take(status: string, id: string, bytes: number): void {
    this.#last = { status, id };
    if (layerSeen.has(status)) this.#layers.add(id);
    if (this.#layers.has(id)) this.#bytes.set(id, Math.max(bytes, this.#bytes.get(id) ?? 0));
    if (this.#layers.has(id) && layerDone[this.engine].has(status)) this.#done.add(id);
    if (this.clock.monotonicMs() - this.#saidAtMs >= everyMs) this.#tell();
  }

  /** null: it broke off. Docker's last line is a verdict, Podman's names the image by the first of its digits. */
  finish(): { isOf(imageId: string): boolean } | null {
    const { status, id } = this.#last;
    this.#tell();
    if (status.startsWith("Status: ")) return { isOf: () => true };
    if (this.engine !== "podman" || !layerDone.podman.has(status) || id === "") return null;
    return { isOf: (imageId) => imageId.startsWith(`sha256:${id}`) };
  }

  #tell(): void {
    this.#saidAtMs = this.clock.monotonicMs();
    const bytes = [...this.#bytes.values()].reduce((sum, each) => sum + each, 0);
    this.onProgress({ layers: this.#layers.size, layersDone: this.#done.size, bytes });
  }
}
