import { messageOf } from "../errors.ts";
import type { Log } from "../log.ts";
import { groupMembers, type ProcessIdentity, stopProcess, watchProcess } from "../process/process.ts";
import { keeperOf } from "../process/unwatched.ts";
import type { Call } from "../util/async.ts";
import { processAgeMs } from "../util/procfs.ts";
import type { Clock } from "../util/time.ts";
import { Ended } from "./ended.ts";
import type { Generation } from "./generation.ts";
import { type Inherited, type LaunchOptions, launch } from "./launch.ts";
import { type ListenSpec, listenName } from "./listen-spec.ts";
import type { RecordedGeneration, RecordFile, SupervisorRecord } from "./record.ts";
import { type Inheritance, takeOver } from "./takeover.ts";

export interface GenerationOptions extends LaunchOptions {
  readonly listen: readonly ListenSpec[];
  /** From SIGTERM to SIGKILL. */
  readonly stopTimeoutMs: number;
  /** How much longer an old generation is kept once the new one is up (server-starter's KILL_OLD_DELAY). */
  readonly killOldDelayMs: number;
}

export interface GenerationDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly record: RecordFile;
}

/** Every run of the app that is alive, with the listeners they share, and the record a successor finds them by. */
export class Generations {
  readonly #alive = new Set<Generation>();
  readonly #rehearsing = new Set<Generation>();
  readonly #draining = new Map<Generation, Promise<void>>();
  readonly #stopping = new WeakMap<Generation, Promise<void>>();
  readonly #left = new WeakMap<Generation, readonly ProcessIdentity[]>();
  readonly #ended: Ended;
  readonly #closing = new AbortController();
  #lastNumber: number;
  #isStopping = false;

  private constructor(
    private readonly options: GenerationOptions,
    private readonly deps: GenerationDeps,
    private readonly inherited: SupervisorRecord | null,
    private readonly inheritance: Inheritance,
  ) {
    const { orphans, died } = inheritance;
    this.#ended = new Ended(died, { clock: deps.clock, onForgotten: () => this.#note() });
    for (const orphan of orphans) {
      const exited = watchProcess(orphan.pid, orphan.startTicks, deps.clock);
      const startedMs = deps.clock.monotonicMs() - processAgeMs(orphan.startTicks);
      this.#alive.add(this.#followed({ ...orphan, startedMs, exited }));
    }
    this.#lastNumber = Math.max(0, ...orphans.map((orphan) => orphan.number));
  }

  /** Opens the listeners, from a predecessor's app where one still runs. Fails with `port-in-use`. */
  static async open(options: GenerationOptions, deps: GenerationDeps, c: Call): Promise<Generations> {
    const record = deps.record.read();
    const keeper = keeperOf(options.env);
    const inheritance = await takeOver({ ...options, keeper }, record, deps, c);
    const generations = new Generations(options, deps, record, inheritance);
    if (inheritance.orphans.length > 0) generations.#noteAdopted();
    return generations;
  }

  /** The release's app ended by itself, and no predecessor has acted on it. */
  diedUnwatched(release: string): boolean {
    return this.inheritance.died.some((run) => run.release === release);
  }

  get #listeners() {
    return this.inheritance.listeners;
  }

  /** Oldest first. */
  get alive(): readonly Generation[] {
    return [...this.#alive];
  }

  /** Whether what was found running was started by the same command line as the same user, with the same listeners. */
  get startedAlike(): boolean {
    if (this.inherited === null) return true;
    const { command, user, listeners } = this.inherited;
    const before = [command, user ?? null, listeners.map(({ name }) => name)];
    const now = [
      this.options.command,
      recordedUser(this.options),
      this.#listeners.map(({ spec }) => listenName(spec)),
    ];
    return JSON.stringify(before) === JSON.stringify(now);
  }

  /** Fails with `start-failed` when the command can't be executed. */
  start(release: string): Generation {
    const number = ++this.#lastNumber;
    this.#note({ generations: [{ number, pid: null, startTicks: null, release }] });
    try {
      const generation = launch(this.options, this.#listeners, { number, release }, this.deps.clock);
      this.#alive.add(this.#followed(generation));
      return generation;
    } finally {
      this.#note();
    }
  }

  /** On sockets of its own: it is none of the generations, and takes no number of theirs. Fails as `start` does. */
  startPrivately(release: string, sockets: readonly Inherited[]): Generation {
    const number = this.#lastNumber + 1;
    this.#note({ rehearsals: [{ number, pid: null, startTicks: null, release }] });
    try {
      const rehearsed = launch(
        this.options,
        sockets,
        { number, release, isRehearsal: true },
        this.deps.clock,
      );
      this.#rehearsing.add(this.#followed(rehearsed));
      return rehearsed;
    } finally {
      this.#note();
    }
  }

  /**
   * Stops it with all its group; what it left behind when it died by itself, too. It is told once: to many apps a
   * second SIGTERM means to drop their requests.
   */
  stop(generation: Generation): Promise<void> {
    const stopping = this.#stopping.get(generation) ?? this.#end(generation);
    this.#stopping.set(generation, stopping);
    return stopping;
  }

  async #end(generation: Generation): Promise<void> {
    const left = this.#left.get(generation) ?? [];
    const { stopTimeoutMs } = this.options;
    const { killed } = await stopProcess({ ...generation, left }, stopTimeoutMs, this.deps.clock, never);
    if (killed) {
      this.deps.log.warn("Server killed: it did not stop in time", {
        pid: generation.pid,
        hint: "let the app end on SIGTERM, or raise --stop-timeout",
      });
    }
    // An agent that ends before it has reaped its app leaves a zombie to pid 1, and some never reap.
    await Promise.race([generation.exited, this.deps.clock.sleep(1000, never.signal)]);
    this.#alive.delete(generation);
    this.#rehearsing.delete(generation);
    this.#note();
  }

  /** Stops what it left when it ended by itself. */
  bury(generation: Generation): void {
    this.#ended.add(recorded(generation));
    this.forgetEnded(generation.release);
    void this.stop(generation);
  }

  /** Whoever was to be told of an end of what is current has been. */
  forgetEnded(release: string | null): void {
    this.#ended.forget(release, this.#closing.signal);
  }

  /** Stops all but `serving` in the background: they finish their requests while it serves. */
  retireOthers(serving: Generation): void {
    for (const generation of this.#alive) {
      if (generation === serving || this.#draining.has(generation)) continue;
      const draining = this.#drain(generation).finally(() => this.#draining.delete(generation));
      this.#draining.set(generation, draining);
    }
  }

  async #drain(generation: Generation): Promise<void> {
    const over = new AbortController();
    void generation.exited.then(() => over.abort());
    const signal = AbortSignal.any([this.#closing.signal, over.signal]);
    await this.deps.clock.sleep(this.options.killOldDelayMs, signal).catch(() => undefined);
    await this.stop(generation);
  }

  /** Whom it leaves behind must be known at its end: later its number may lead others. */
  #followed(generation: Generation): Generation {
    void generation.exited.then(() => this.#left.set(generation, groupMembers(generation.pid)));
    return generation;
  }

  /** From now on an end of the app is no crash, also to a successor: whoever stops dewy may not wait for it. */
  beginStop(): void {
    this.#isStopping = true;
    this.#note();
  }

  /** Stops all and gives the ports back. */
  async close(): Promise<void> {
    this.#closing.abort();
    const left = [...this.#alive, ...this.#rehearsing];
    await Promise.all([...this.#draining.values(), ...left.map((generation) => this.stop(generation))]);
    for (const listener of this.#listeners) listener.close();
  }

  /** It is kept by this agent now, and not being stopped; it runs as the predecessor started it. */
  #noteAdopted(): void {
    if (this.inherited === null) this.#note();
    else this.#write({ ...this.inherited, ...this.#kept, rehearsals: [] });
  }

  get #kept() {
    return {
      generations: [...this.#alive].map(recorded),
      ended: [...this.#ended.all],
      keeper: keeperOf(this.options.env),
      stopping: this.#isStopping,
    };
  }

  /** With what is about to be spawned. */
  #note(spawning: Partial<Record<"generations" | "rehearsals", RecordedGeneration[]>> = {}): void {
    const { generations = [], rehearsals = [] } = spawning;
    this.#write({
      command: [...this.options.command],
      user: recordedUser(this.options),
      listeners: this.#listeners.map(({ spec, inode }) => ({ name: listenName(spec), inode })),
      ...this.#kept,
      generations: [...this.#kept.generations, ...generations],
      rehearsals: [...[...this.#rehearsing].map(recorded), ...rehearsals],
    });
  }

  /** A record that can't be written must not keep the app from running: it only serves a successor. */
  #write(record: Parameters<RecordFile["write"]>[0]): void {
    try {
      this.deps.record.write(record);
    } catch (error) {
      this.deps.log.warn("Supervisor record not written", { error: messageOf(error) });
    }
  }
}

function recorded({ number, pid, startTicks, release }: Generation): RecordedGeneration {
  return { number, pid, startTicks, release };
}

/** As the record has it; null: the agent's own. */
function recordedUser({ user }: GenerationOptions): string | null {
  return user === null ? null : `${user.uid}:${user.gid}`;
}

const never: Call = { signal: new AbortController().signal };
