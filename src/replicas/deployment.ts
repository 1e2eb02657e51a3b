import type { Call } from "../util/async.ts";
import type { PortMapping } from "./ports.ts";

/** What all replicas are made from: one release, with what the operator chose for it. */
export interface Deployment {
  /** The release's tag. */
  readonly version: string;
  /** An image, or a release in its directory. */
  readonly image: {
    /** For people, and to make copies from. */
    readonly reference: string;
    /** Names the content on this host. */
    readonly id: string;
  };
  readonly deployedAt: Date;
  /** A fingerprint of what the operator chose; another one means that its replicas are to be made anew. */
  readonly options: string;
  /** The first one is the one `--health-path` is asked on. */
  readonly ports: readonly PortMapping[];
  /** The image, or the operator, has a HEALTHCHECK. */
  readonly usesHealthcheck: boolean;
  nameOf(replica: number): string;
  /**
   * Makes a copy that does not run yet, on the engine that keeps the replicas; answers its id. `not-found`: what it
   * is made from is not on this host; `config-invalid`: an option is refused.
   */
  create(replica: number, c: Call): Promise<string>;
}
