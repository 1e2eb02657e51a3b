import type { Call } from "../util/async.ts";
import type { CreateBody } from "./create-body.ts";

/**
 * What dewy asks of Docker or Podman. Every implementation passes test/container/contract.ts. Failures: an engine
 * that does not answer is `engine-unreachable`, one that answers with an error `engine-failed`, a full disk
 * `disk-full`; others are named at the call.
 */
export interface ContainerRuntime extends AsyncDisposable {
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
  /** `start-failed` when the image's command can't be executed. */
  start(id: string, c: Call): Promise<void>;
  /** null: there is none (any more). */
  inspect(id: string, c: Call): Promise<Container | null>;
  /** Of all states, with all these labels (an empty value: any). */
  list(labels: Readonly<Record<string, string>>, c: Call): Promise<readonly Container[]>;
  /** Its stop signal, SIGKILL after `graceMs`; resolves when it has exited, at once where it is not running. */
  stop(id: string, graceMs: number, c: Call): Promise<void>;
  /** Kills it if it runs, with its anonymous volumes; resolves when it is gone, or was not there. */
  remove(id: string, c: Call): Promise<void>;
  /** Calls back for each change of containers with these labels until the engine ends the stream or `c` aborts. */
  watch(
    labels: Readonly<Record<string, string>>,
    onEvent: (event: ContainerEvent) => void,
    c: Call,
  ): Promise<void>;
}

export interface RuntimeInfo {
  readonly name: "docker" | "podman";
  readonly version: string;
  readonly apiVersion: string;
  /** A rootless engine's containers have no address that this host can reach. */
  readonly rootless: boolean;
}

export interface PullRequest {
  /** `host/name`, as the engine knows it. */
  readonly repository: string;
  readonly tag: string;
  /** `os/arch[/variant]`; null: the engine's own. */
  readonly platform: string | null;
  readonly credentials: RegistryCredentials | null;
  readonly onProgress?: (progress: PullProgress) => void;
}

export type RegistryCredentials =
  | { readonly kind: "password"; readonly username: string; readonly password: string }
  | { readonly kind: "identity-token"; readonly token: string };

export interface PullProgress {
  readonly layers: number;
  readonly layersDone: number;
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

export interface Container {
  readonly id: string;
  readonly name: string;
  /** As it was named when the container was created. */
  readonly image: string;
  readonly imageId: string;
  readonly status: "created" | "running" | "paused" | "restarting" | "removing" | "exited" | "dead";
  /** The engine's HEALTHCHECK; `none`: the image has none. */
  readonly health: "none" | "starting" | "healthy" | "unhealthy";
  /** Of its main process on this host; null while it does not run. */
  readonly pid: number | null;
  readonly exitCode: number | null;
  readonly oomKilled: boolean;
  /** Why it did not start, in the engine's words. */
  readonly error: string;
  readonly createdAt: Date;
  readonly startedAt: Date | null;
  readonly restartCount: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly ports: readonly PublishedPort[];
  /** On the engine's bridge networks; this host reaches them unless the engine is rootless. */
  readonly addresses: readonly string[];
}

export interface PublishedPort {
  readonly containerPort: number;
  readonly hostIp: string;
  readonly hostPort: number;
}

export interface ContainerEvent {
  readonly id: string;
  /** The engine's word: `start`, `die`, `oom`, `destroy`, `health_status`, … */
  readonly action: string;
}
