import type { EngineInfo, Instance, ReplicaEngine } from "../replicas/engine.ts";
import type { Call } from "../util/async.ts";
import type { CreateBody } from "./create-body.ts";

/**
 * What dewy asks of Docker or Podman. Every implementation passes test/container/contract.ts. Failures: an engine
 * that does not answer is `engine-unreachable`, one that answers with an error `engine-failed`, a full disk
 * `disk-full`; others are named at the call.
 */
export interface ContainerRuntime extends ReplicaEngine, AsyncDisposable {
  info(c: Call): Promise<RuntimeInfo>;
  /**
   * Gets the image from its registry. `unauthorized`, `not-found`, `network-unreachable`, `network-timeout` and
   * `rate-limited` are about the registry.
   */
  pull(request: PullRequest, c: Call): Promise<Image>;
  /** A local image by `name:tag`, `name@digest` or id; null: not here. */
  image(reference: string, c: Call): Promise<Image | null>;
  /** Local images that have a tag or a digest of this repository (`host/name`). */
  images(repository: string, c: Call): Promise<readonly Image[]>;
  /** Never forced: an image that a container uses, or that has other names, keeps its layers. */
  removeImage(reference: string, c: Call): Promise<"removed" | "in-use" | "absent">;
  /** Answers the id. `not-found`: the image is not here; `config-invalid`: the engine refuses an option. */
  create(spec: ContainerSpec, c: Call): Promise<string>;
}

export interface RuntimeInfo extends EngineInfo {
  readonly name: "docker" | "podman";
  readonly version: string;
  readonly apiVersion: string;
}

export interface PullRequest {
  /** `host/name`, as the engine knows it. */
  readonly repository: string;
  readonly tag: string;
  /** `os/arch[/variant]`; null: the engine's own. */
  readonly platform: string | null;
  readonly credentials: RegistryCredentials | null;
  /** Told now and then for as long as the engine says anything, be it nothing new. */
  readonly onProgress?: (progress: PullProgress) => void;
}

export type RegistryCredentials =
  | { readonly kind: "password"; readonly username: string; readonly password: string }
  | { readonly kind: "identity-token"; readonly token: string };

export interface PullProgress {
  readonly layers: number;
  readonly layersDone: number;
  /** Of those that the engine counts bytes of. */
  readonly bytes: number;
}

export interface Image {
  /** `sha256:…` of its configuration: names the content on this host. */
  readonly id: string;
  /** `host/name:tag`. */
  readonly tags: readonly string[];
  /** `host/name@sha256:…`, as the registry names it. */
  readonly digests: readonly string[];
  /** TCP ports of EXPOSE. */
  readonly exposedPorts: readonly number[];
  /** USER; empty: root. */
  readonly user: string;
  readonly hasHealthcheck: boolean;
  readonly sizeBytes: number;
  readonly createdAt: Date;
}

export interface ContainerSpec {
  readonly name: string;
  /** `os/arch[/variant]`; null: the engine's own. */
  readonly platform: string | null;
  readonly body: CreateBody;
}

/** What the engine says of one container. */
export type Container = Instance;
