import { DewyError, messageOf } from "../errors.ts";
import type { Log } from "../log.ts";
import { type AppEnvironment, appEnvironment } from "../process/environment.ts";
import { watchProcess } from "../process/process.ts";
import { spawnApp } from "../process/spawn.ts";
import type {
  EngineListening,
  Instance,
  InstanceEvent,
  PublishedPort,
  ReplicaEngine,
} from "../replicas/engine.ts";
import type { Call } from "../util/async.ts";
import { processAgeMs } from "../util/procfs.ts";
import type { Clock } from "../util/time.ts";
import { Copy, type Run } from "./copy.ts";
import { type FoundProcess, findProcesses } from "./found.ts";
import { asListening, holderOf, replicaVariable } from "./listening.ts";
import { PrivatePorts } from "./private-ports.ts";
import type { ProcessRecord } from "./record.ts";
import { processWords } from "./words.ts";

export interface ProcessEngineOptions extends AppEnvironment {
  readonly app: string;
  /** No process may have them: the proxy's. */
  readonly avoidPorts: readonly number[];
}

export interface ProcessEngineDeps {
  readonly record: ProcessRecord;
  readonly clock: Clock;
  readonly log: Log;
}

/** How one process is to be made. */
export interface ProcessSpec {
  readonly name: string;
  /** The release directory's name. */
  readonly release: string;
  readonly command: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  /** What the app is told beside its ports. */
  readonly env: Readonly<Record<string, string>>;
  /** Each of the app's ports, and the variable that tells it which one it got. */
  readonly ports: readonly { readonly appPort: number; readonly variable: string }[];
}

interface Watcher {
  readonly labels: Readonly<Record<string, string>>;
  readonly onEvent: (event: InstanceEvent) => void;
}

/**
 * The app's processes on this host, as the keeping of replicas wants them. They outlive the agent; its successor finds
 * them by the record, and never touches a process that is not theirs.
 */
export class ProcessEngine implements ReplicaEngine {
  readonly words = processWords;
  readonly #copies = new Map<string, Copy>();
  readonly #specs = new Map<string, ProcessSpec>();
  readonly #watchers = new Set<Watcher>();
  readonly #ports: PrivatePorts;

  private constructor(
    private readonly options: ProcessEngineOptions,
    private readonly deps: ProcessEngineDeps,
  ) {
    this.#ports = new PrivatePorts(new Set(options.avoidPorts));
  }

  /** Knows what the last agent of this directory left running; starts and stops nothing. */
  static open(options: ProcessEngineOptions, deps: ProcessEngineDeps): ProcessEngine {
    const engine = new ProcessEngine(options, deps);
    for (const found of findProcesses(options, deps.record.read())) engine.#adopt(found);
    return engine;
  }

  /** Answers the id. */
  create(spec: ProcessSpec): string {
    const id = crypto.randomUUID().replaceAll("-", "");
    const taken = new Set(
      [...this.#copies.values()].flatMap(({ identity }) => identity.ports.map(({ hostPort }) => hostPort)),
    );
    const ports = spec.ports.map(({ appPort }) => {
      const hostPort = this.#ports.take(taken);
      taken.add(hostPort);
      return { appPort, hostPort };
    });
    const { name, release, labels } = spec;
    const createdAt = this.deps.clock.now().toISOString();
    this.#copies.set(id, new Copy({ id, name, release, labels: { ...labels }, ports, createdAt }));
    this.#specs.set(id, spec);
    this.#tell(id, "create");
    return id;
  }

  async info(): Promise<{ rootless: boolean }> {
    return { rootless: true };
  }

  async start(id: string): Promise<void> {
    const [copy, spec] = [this.#copies.get(id), this.#specs.get(id)];
    if (copy === undefined || spec === undefined) throw gone(id);
    const { command } = spec;
    const { root, user } = this.options;
    // An agent that dies right after the spawn leaves a process that bears this id.
    this.#note(copy);
    const env = appEnvironment(this.options, this.#variables(copy, spec));
    const spawned = spawnApp({ command, root, env, user }, {});
    this.#watch(copy, { ...spawned, startedAt: this.deps.clock.now() });
    this.#note();
    this.#tell(id, "start");
  }

  async inspect(id: string): Promise<Instance | null> {
    const copy = this.#copies.get(id);
    if (copy === undefined) return null;
    this.#checkPorts(copy);
    return copy.toInstance();
  }

  async list(labels: Readonly<Record<string, string>>): Promise<readonly Instance[]> {
    const all = [...this.#copies.values()].filter(({ identity }) => bears(identity.labels, labels));
    return all.map((copy) => copy.toInstance());
  }

  async stop(id: string, graceMs: number, c: Call): Promise<void> {
    const copy = this.#copies.get(id);
    if (copy === undefined) return;
    if (!(await copy.stop(graceMs, this.deps.clock, c))) return;
    this.deps.log.warn("Process killed: it did not stop in time", {
      process: copy.identity.name,
      hint: "let the app end on SIGTERM, or raise --stop-timeout",
    });
  }

  async remove(id: string, c: Call): Promise<void> {
    const copy = this.#copies.get(id);
    if (copy === undefined) return;
    await copy.stop(0, this.deps.clock, c);
    this.#copies.delete(id);
    this.#specs.delete(id);
    this.#note();
    this.#tell(id, "destroy");
  }

  async watch(
    labels: Readonly<Record<string, string>>,
    onEvent: (event: InstanceEvent) => void,
    c: Call,
  ): Promise<void> {
    const { promise, reject } = Promise.withResolvers<never>();
    const watcher = { labels, onEvent };
    const onAbort = () => reject(c.signal.reason);
    c.signal.throwIfAborted();
    this.#watchers.add(watcher);
    c.signal.addEventListener("abort", onAbort, { once: true });
    await promise.finally(() => this.#watchers.delete(watcher));
  }

  listening({ id, pid }: Instance, { hostPort }: PublishedPort): EngineListening {
    return pid === null ? "not-its-own" : asListening(holderOf(hostPort, { id, pid }));
  }

  #variables({ identity }: Copy, spec: ProcessSpec): Record<string, string> {
    const ports = spec.ports.map(({ appPort, variable }) => {
      const port = identity.ports.find((each) => each.appPort === appPort);
      return [variable, String(port?.hostPort)] as const;
    });
    return { ...spec.env, ...Object.fromEntries(ports), [replicaVariable]: identity.id };
  }

  #adopt({ identity, pid, startTicks }: FoundProcess): void {
    const { clock } = this.deps;
    const copy = new Copy(identity);
    this.#copies.set(identity.id, copy);
    const startedAt = new Date(clock.now().getTime() - processAgeMs(startTicks));
    const exited = watchProcess(pid, startTicks, clock);
    this.#watch(copy, { pid, startTicks, leadsGroup: true, startedAt, exited });
  }

  #watch(copy: Copy, run: Run): void {
    copy.started(run);
    void run.exited.then((exit) => {
      copy.ended(exit);
      this.#note();
      this.#tell(copy.identity.id, "die");
    });
  }

  /** Somebody took one of its ports before it could: that is no fault of the release, and another port will do. */
  #checkPorts({ identity: { id, ports }, run }: Copy): void {
    const isTaken = ({ hostPort }: { hostPort: number }) =>
      holderOf(hostPort, { id, pid: run?.pid ?? 0 }) === "others";
    const taken = ports.find(isTaken);
    if (taken === undefined) return;
    throw new DewyError("engine-failed", `port ${taken.hostPort}: address already in use`, {
      hint: "see who listens there: ss -ltnp",
    });
  }

  /** A record that can't be written must not keep the app from running: it only serves a successor. */
  #note(spawning?: Copy): void {
    const running = [...this.#copies.values()].filter((copy) => copy.run !== null || copy === spawning);
    try {
      this.deps.record.write(running.map(({ record }) => record));
    } catch (error) {
      this.deps.log.warn("Record of processes not written", { error: messageOf(error) });
    }
  }

  #tell(id: string, action: string): void {
    const labels = this.#copies.get(id)?.identity.labels;
    for (const watcher of this.#watchers) {
      if (labels === undefined || bears(labels, watcher.labels)) watcher.onEvent({ id, action });
    }
  }
}

function bears(labels: Readonly<Record<string, string>>, wanted: Readonly<Record<string, string>>): boolean {
  return Object.entries(wanted).every(([key, value]) =>
    value === "" ? labels[key] !== undefined : labels[key] === value,
  );
}

function gone(id: string): DewyError {
  return new DewyError("engine-failed", `no such process: ${id}`);
}
