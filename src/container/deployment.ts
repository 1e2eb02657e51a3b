import type { PortMapping } from "./plan/port-mapping.ts";
import type { ContainerSpec } from "./runtime.ts";

/** What all replicas are made from: one image, with what the operator chose for it. */
export interface Deployment {
  /** The release's tag. */
  readonly version: string;
  readonly image: {
    /** To create containers from. */
    readonly reference: string;
    /** `sha256:…` of its configuration. */
    readonly id: string;
    /** As its registry names it; null: it is not known. */
    readonly digest: string | null;
  };
  readonly deployedAt: Date;
  /** A fingerprint of what the operator chose; another one means that its containers are to be made anew. */
  readonly options: string;
  /** The first one is the one `--health-path` is asked on. */
  readonly ports: readonly PortMapping[];
  /** The image, or the operator, has a HEALTHCHECK. */
  readonly usesHealthcheck: boolean;
  /** Its containers run as root though nobody asked for that. */
  readonly rootByDefault: boolean;
  /** The number is part of the container's name. */
  makeSpec(replica: number): ContainerSpec;
}
