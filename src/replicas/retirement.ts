import { messageOf } from "../errors.ts";
import type { Log } from "../log.ts";
import { abortable, type Call } from "../util/async.ts";
import type { Clock } from "../util/time.ts";
import { drain } from "./drain.ts";
import { changeMs, detached, type EngineLink } from "./engine-link.ts";
import type { Members } from "./members.ts";
import type { Replica } from "./replica.ts";
import type { Rotation } from "./rotation.ts";

export interface RetirementOptions {
  /** How long connections may go on; 0: not at all. */
  readonly drainMs: number;
  /** From the stop signal to SIGKILL. */
  readonly stopGraceMs: number;
}

interface RetirementDeps {
  readonly engine: EngineLink;
  readonly members: Members;
  readonly rotation: Rotation;
  readonly clock: Clock;
  readonly log: Log;
  /** One is gone. */
  readonly onDone: () => void;
}

/** Takes replicas and leftovers away in the background: they drain together, are stopped, cut and removed. */
export class Retirement {
  readonly #leaving = new Map<string, Promise<void>>();
  /** Copies that could not be removed; whoever looks over all of them tries again. */
  readonly #failed = new Set<string>();
  readonly #given = new AbortController();

  constructor(
    private readonly options: RetirementOptions,
    private readonly deps: RetirementDeps,
  ) {}

  has(id: string): boolean {
    return this.#leaving.has(id);
  }

  /** No new connections for it from now on; what it has may end within the drain time, unless it is dead. */
  retire(replica: Replica, how: "drained" | "dead" = "drained"): void {
    replica.phase = "leaving";
    this.deps.members.sync();
    this.#track(replica.id, async (c) => {
      if (how === "drained") await this.#drain(replica, c);
      this.#noteStopping(replica);
      await this.#remove(replica, c, () => this.#cut(replica));
    });
  }

  /** One that serves nobody: dead already, or never one of ours. */
  removeLeftover(instance: { readonly id: string; readonly name: string }): void {
    this.#track(instance.id, async (c) => {
      this.#noteStopping(instance);
      await this.#remove(instance, c, () => undefined);
    });
  }

  /** Resolves when nothing is on its way out any more. */
  async done(c: Call): Promise<void> {
    await abortable(Promise.all(this.#leaving.values()), c.signal);
  }

  /** Leaves all as it is; resolves when nothing is being done any more. */
  async abandon(): Promise<void> {
    this.#given.abort(new Error("left to the shutdown"));
    await Promise.all(this.#leaving.values());
  }

  #track(id: string, work: (c: Call) => Promise<void>): void {
    if (this.#leaving.has(id) || this.#given.signal.aborted) return;
    const leaving = work({ signal: this.#given.signal })
      .catch(() => undefined) // given up: the shutdown sees to it
      .finally(() => this.#leaving.delete(id));
    this.#leaving.set(id, leaving);
  }

  #noteStopping({ name }: { readonly name: string }): void {
    const { log, engine } = this.deps;
    log.info(engine.words.records.oldStopping, { [engine.words.noun]: name });
  }

  async #drain({ id, name }: Replica, c: Call): Promise<void> {
    const { rotation, log, engine } = this.deps;
    await drain([id], this.options.drainMs, this.deps, c);
    const connections = rotation.connections(id);
    // From here on it is for the app to end them, before its own end cuts them.
    if (connections > 0) log.info("Drain time over", { [engine.words.noun]: name, connections });
  }

  #cut(replica: Replica): void {
    const connections = this.deps.members.drop(replica);
    if (connections === 0) return;
    const { log, engine } = this.deps;
    log.warn("Connections cut with their replica", { [engine.words.noun]: replica.name, connections });
  }

  /** A copy is cut off only once its app, which may still answer, has ended. */
  async #remove(
    { id, name }: { readonly id: string; readonly name: string },
    c: Call,
    onStopped: () => void,
  ): Promise<void> {
    const { engine, log } = this.deps;
    const { noun, records } = engine.words;
    const { stopGraceMs } = this.options;
    c.signal.throwIfAborted();
    try {
      await engine.bounded(`stop the ${noun}`, stopGraceMs + changeMs, detached(), (bounded) =>
        engine.runtime.stop(id, stopGraceMs, bounded),
      );
      onStopped();
      log.debug(records.oldRemoving, { [noun]: name });
      await engine.bounded(`remove the ${noun}`, changeMs, detached(), (bounded) =>
        engine.runtime.remove(id, bounded),
      );
      this.#failed.delete(id);
      this.deps.onDone();
    } catch (error) {
      onStopped();
      this.#noteFailure(id, name, error);
    }
  }

  /** Tried again at each look, said once. */
  #noteFailure(id: string, name: string, error: unknown): void {
    const attributes = { [this.deps.engine.words.noun]: name, error: messageOf(error) };
    if (this.#failed.has(id)) this.deps.log.debug("Old replica not removed yet", attributes);
    else this.deps.log.warn("Old replica not removed yet", attributes);
    this.#failed.add(id);
  }
}
