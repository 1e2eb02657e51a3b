import type { Listening } from "../health/listening.ts";
import type { Probed } from "../health/policy.ts";
import type { Call } from "../util/async.ts";
import type { ReplicaWords } from "./words.ts";

/**
 * What keeping replicas asks of whoever runs them: Docker or Podman with their containers, or this host with plain
 * processes. Failures are the engine's own (`engine-unreachable`, `engine-failed`, `disk-full`); others are named at
 * the call. How a copy is made is the deployment's to know.
 */
export interface ReplicaEngine {
  readonly words: ReplicaWords;
  info(c: Call): Promise<EngineInfo>;
  /** `start-failed` when its command can't be executed. */
  start(id: string, c: Call): Promise<void>;
  /** null: there is none (any more). */
  inspect(id: string, c: Call): Promise<Instance | null>;
  /** Of all states, with all these labels (an empty value: any). */
  list(labels: Readonly<Record<string, string>>, c: Call): Promise<readonly Instance[]>;
  /** Its stop signal, SIGKILL after `graceMs`; resolves when it has exited, at once where it is not running. */
  stop(id: string, graceMs: number, c: Call): Promise<void>;
  /** Kills it if it runs, with all that is its own; resolves when it is gone, or was not there. */
  remove(id: string, c: Call): Promise<void>;
  /** Calls back for each change of copies with these labels until the engine ends the stream or `c` aborts. */
  watch(
    labels: Readonly<Record<string, string>>,
    onEvent: (event: InstanceEvent) => void,
    c: Call,
  ): Promise<void>;
  /** Whether a running copy listens on one of its ports; never fails. */
  listening(instance: Instance, port: PublishedPort): Promise<EngineListening>;
  /** What an operator wants to have asked of a running copy beside its ports; null, or left out: nothing. */
  check?(instance: Instance, limitMs: number, c: Call): Promise<Probed | null>;
}

/** Beyond doubt, so that nobody need be asked: the copy itself listens there, or it does not, whoever may answer. */
export type EngineListening = Listening | "its-own" | "not-its-own";

export interface EngineInfo {
  /** The copies have no address of their own that this host can reach. */
  readonly rootless: boolean;
}

/** What an engine says of one copy of the app: a container, a process. */
export interface Instance {
  readonly id: string;
  readonly name: string;
  /** What it was made from, as that was named then: an image, a release. */
  readonly image: string;
  /** Names the content of that on this host. */
  readonly imageId: string;
  readonly status: "created" | "running" | "paused" | "restarting" | "removing" | "exited" | "dead";
  /** The engine's HEALTHCHECK; `none`: there is none. */
  readonly health: "none" | "starting" | "healthy" | "unhealthy";
  /** Of its main process on this host; null while it does not run. */
  readonly pid: number | null;
  readonly exitCode: number | null;
  readonly oomKilled: boolean;
  /** Why it did not start, or how it ended, in the engine's words. */
  readonly error: string;
  readonly createdAt: Date;
  readonly startedAt: Date | null;
  /** By the engine itself. */
  readonly restartCount: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly ports: readonly PublishedPort[];
  /** On the engine's own networks; this host reaches them unless the engine is rootless. */
  readonly addresses: readonly string[];
}

export interface PublishedPort {
  /** As the app's deployment names it. */
  readonly appPort: number;
  readonly hostIp: string;
  readonly hostPort: number;
}

export interface InstanceEvent {
  readonly id: string;
  /** The engine's word: `start`, `die`, `oom`, `destroy`, `health_status`, … */
  readonly action: string;
}
