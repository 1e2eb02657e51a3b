import { DewyError } from "../errors.ts";
import type { Probed } from "../health/policy.ts";
import type { Log } from "../log.ts";
import { type AppEnvironment, appEnvironment } from "../process/environment.ts";
import { watchProcess } from "../process/process.ts";
import { spawnApp } from "../process/spawn.ts";
import { keeperOf } from "../process/unwatched.ts";
import type {
  EngineListening,
  Instance,
  InstanceEvent,
  PublishedPort,
  ReplicaEngine,
} from "../replicas/engine.ts";
import type { Call } from "../util/async.ts";
import { processAgeMs } from "../util/procfs.ts";
import { SocketTables } from "../util/socket-tables.ts";
import type { Clock } from "../util/time.ts";
import { Copies } from "./copies.ts";
import { Copy, type Run } from "./copy.ts";
import { type FoundProcess, findProcesses } from "./found.ts";
import { checkCopy } from "./health-command.ts";
import { asListening, holderOf, loopbacksOf, replicaVariable, type Sockets } from "./listening.ts";
import { PrivatePorts } from "./private-ports.ts";
import type { ProcessRecord, RecordedProcess } from "./record.ts";
import type { ProcessSpec } from "./spec.ts";
import { diedUnwatched } from "./unwatched.ts";
import { processWords } from "./words.ts";

export interface ProcessEngineOptions extends AppEnvironment {
  readonly app: string;
  /** No process may have them: the proxy's. */
  readonly avoidPorts: readonly number[];
  /** What a copy must pass beside its ports, for `/bin/sh -c`; null: nothing. */
  readonly healthCommand: string | null;
}

export interface ProcessEngineDeps {
  readonly record: ProcessRecord;
  readonly clock: Clock;
  readonly log: Log;
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
  readonly #copies: Copies;
  readonly #specs = new Map<string, ProcessSpec>();
  readonly #watchers = new Set<Watcher>();
  readonly #ports: PrivatePorts;
  readonly #tables: SocketTables;

  private constructor(
    private readonly options: ProcessEngineOptions,
    private readonly deps: ProcessEngineDeps,
    keeper: string | null,
    private readonly died: readonly RecordedProcess[],
  ) {
    this.#copies = new Copies(keeper, deps);
    this.#ports = new PrivatePorts(new Set(options.avoidPorts));
    this.#tables = new SocketTables(deps.clock);
  }

  /** Knows what the last agent of this directory left running; starts and stops nothing. */
  static open(options: ProcessEngineOptions, deps: ProcessEngineDeps): ProcessEngine {
    const keeper = keeperOf(options.env);
    const left = deps.record.read();
    const found = findProcesses(options, left.processes);
    const engine = new ProcessEngine(options, deps, keeper, diedUnwatched(left, found, keeper));
    for (const each of found) engine.#adopt(each);
    return engine;
  }

  /** The names of a release's processes that a predecessor left running, and that have ended by themselves since. */
  diedUnwatched(release: string): readonly string[] {
    return this.died.filter((each) => each.release === release).map(({ name }) => name);
  }

  /** From now on no end of a process is a crash, also to a successor: whoever stops dewy may not wait for it. */
  beginStop(): void {
    this.#copies.beginStop();
  }

  /** Answers the id. */
  async create(spec: ProcessSpec): Promise<string> {
    const id = crypto.randomUUID().replaceAll("-", "");
    const ofOthers = this.#copies.all.flatMap(({ identity }) => identity.ports);
    const taken = new Set(ofOthers.map(({ hostPort }) => hostPort));
    const ports = spec.ports.map(({ appPort }) => ({ appPort, hostPort: this.#ports.take(taken) }));
    const { name, release, labels } = spec;
    const createdAt = this.deps.clock.now().toISOString();
    this.#copies.add(new Copy({ id, name, release, labels: { ...labels }, ports, createdAt }));
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
    this.#copies.note(copy);
    const env = appEnvironment(this.options, this.#variables(copy, spec));
    const spawned = spawnApp({ command, root, env, user }, {});
    this.#watch(copy, { ...spawned, startedAt: this.deps.clock.now() });
    this.#copies.note();
    this.#tell(id, "start");
  }

  async inspect(id: string): Promise<Instance | null> {
    const sockets = await this.#sockets();
    const copy = this.#copies.get(id);
    if (copy === undefined) return null;
    copy.checkPorts(sockets);
    return copy.toInstance(sockets);
  }

  async list(labels: Readonly<Record<string, string>>): Promise<readonly Instance[]> {
    const sockets = await this.#sockets();
    const all = this.#copies.all.filter(({ identity }) => bears(identity.labels, labels));
    return all.map((copy) => copy.toInstance(sockets));
  }

  async stop(id: string, graceMs: number, c: Call): Promise<void> {
    const copy = this.#copies.get(id);
    if (copy === undefined) return;
    if (!(await this.#end(copy, graceMs, c))) return;
    this.deps.log.warn("Process killed: it did not stop in time", {
      process: copy.identity.name,
      hint: "let the app end on SIGTERM, or raise --stop-timeout",
    });
  }

  async remove(id: string, c: Call): Promise<void> {
    const copy = this.#copies.get(id);
    if (copy === undefined) return;
    await this.#end(copy, 0, c);
    this.#copies.delete(id);
    this.#specs.delete(id);
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

  async listening({ id, pid }: Instance, { hostPort, hostIp }: PublishedPort): Promise<EngineListening> {
    const sockets = await this.#sockets();
    if (pid === null) return "not-its-own";
    const listening = asListening(holderOf(hostPort, { id, pid }, sockets));
    // It began to listen after it was looked at, on the other family: the next look leads there.
    const isElsewhere = listening === "its-own" && !loopbacksOf(hostPort, sockets).includes(hostIp);
    return isElsewhere ? "not-its-own" : listening;
  }

  async check({ id }: Instance, limitMs: number, c: Call): Promise<Probed | null> {
    const { healthCommand: command } = this.options;
    const copy = this.#copies.get(id);
    const how = { environment: this.options, clock: this.deps.clock };
    return command === null || copy === undefined ? null : await checkCopy(copy, command, how, limitMs, c);
  }

  /** Nobody need look where nothing runs. */
  async #sockets(): Promise<Sockets> {
    return this.#copies.all.some(({ run }) => run !== null) ? await this.#tables.listening() : [];
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
    this.#copies.add(copy);
    const startedAt = new Date(clock.now().getTime() - processAgeMs(startTicks));
    const exited = watchProcess(pid, startTicks, clock);
    const { root } = this.options;
    this.#watch(copy, { pid, startTicks, leadsGroup: true, root, startedAt, exited });
  }

  #watch(copy: Copy, run: Run): void {
    copy.started(run);
    void run.exited.then((exit) => {
      copy.ended(exit);
      this.#copies.note();
      this.#tell(copy.identity.id, "die");
    });
  }

  /** Whether SIGKILL was needed. */
  async #end(copy: Copy, graceMs: number, c: Call): Promise<boolean> {
    if (copy.run !== null) this.#copies.beginStop(copy);
    return await copy.stop(graceMs, this.deps.clock, c);
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
