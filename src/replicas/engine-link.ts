import { type DewyError, toDewyError } from "../errors.ts";
import type { Log } from "../log.ts";
import { type Call, withDeadline } from "../util/async.ts";
import type { Clock } from "../util/time.ts";
import type { EngineInfo, Instance, InstanceEvent, ReplicaEngine } from "./engine.ts";
import { labelsOfApp, readLabels } from "./labels.ts";
import type { ReplicaWords } from "./words.ts";

/** Beyond what an engine's client itself allows; nothing waits for ever, whoever implements it. */
const answerMs = 120_000;

/** What the engine knows of one app's copies, and whether it answers at all: said once per change. */
export class EngineLink {
  #info: EngineInfo | null = null;
  #trouble: DewyError | null = null;

  constructor(
    readonly runtime: ReplicaEngine,
    private readonly owner: { readonly app: string; readonly root: string },
    private readonly deps: { readonly clock: Clock; readonly log: Log },
  ) {}

  get words(): ReplicaWords {
    return this.runtime.words;
  }

  /** Why the engine can't be asked at the moment; null: it answers. */
  get trouble(): string | null {
    return this.#trouble?.message ?? null;
  }

  /** The app's copies in all states, those of another agent's directory left out, and when they were asked for. */
  async list(c: Call): Promise<{ instances: readonly Instance[]; askedMs: number; info: EngineInfo }> {
    try {
      const listed = await this.bounded(`list the ${this.words.plural}`, answerMs, c, async (bounded) => {
        const info = await this.#engineInfo(bounded);
        const askedMs = this.deps.clock.monotonicMs();
        const found = await this.runtime.list(labelsOfApp(this.owner.app), bounded);
        return { instances: found.filter((instance) => this.#isOurs(instance)), askedMs, info };
      });
      if (this.#trouble !== null) this.deps.log.info("Engine answers again");
      this.#trouble = null;
      return listed;
    } catch (error) {
      c.signal.throwIfAborted();
      const failure = toDewyError(error, `list the ${this.words.plural}`);
      this.#note(failure);
      throw failure;
    }
  }

  async inspect(
    id: string,
    c: Call,
  ): Promise<{ instance: Instance | null; askedMs: number; info: EngineInfo }> {
    return await this.bounded(`inspect the ${this.words.noun}`, answerMs, c, async (bounded) => {
      const info = await this.#engineInfo(bounded);
      const askedMs = this.deps.clock.monotonicMs();
      return { instance: await this.runtime.inspect(id, bounded), askedMs, info };
    });
  }

  /** Calls back at each change until the engine ends the stream or `c` aborts. */
  async watch(onEvent: (event: InstanceEvent) => void, c: Call): Promise<void> {
    const relevant = (event: InstanceEvent) => {
      // What a HEALTHCHECK does every few seconds changes nothing; its verdict comes as an event of its own.
      if (!event.action.startsWith("exec_")) onEvent(event);
    };
    await this.runtime.watch(labelsOfApp(this.owner.app), relevant, c);
  }

  /** Any of the engine's calls with a deadline of its own. */
  async bounded<T>(doing: string, limitMs: number, c: Call, work: (c: Call) => Promise<T>): Promise<T> {
    const bounded = withDeadline(c, limitMs);
    try {
      return await work(bounded);
    } catch (error) {
      c.signal.throwIfAborted();
      throw toDewyError(error, doing);
    }
  }

  #isOurs({ labels }: Instance): boolean {
    const root = readLabels(labels)?.root ?? null;
    return root === null || root === this.owner.root;
  }

  async #engineInfo(c: Call): Promise<EngineInfo> {
    this.#info ??= await this.runtime.info(c);
    return this.#info;
  }

  #note(failure: DewyError): void {
    const before = this.#trouble;
    this.#trouble = failure;
    this.#info = null; // another version may come back
    const attributes = { error: failure.message, hint: failure.hint };
    // Messages name what was being done, and so differ though the reason is one.
    if (before?.code === failure.code) this.deps.log.debug("Engine still does not answer", attributes);
    else this.deps.log.warn("Engine does not answer: what serves goes on", attributes);
  }
}

/** For what must be done whatever happens to the caller: taking back, cleaning up. */
export function detached(): Call {
  return { signal: new AbortController().signal };
}

/** As `answerMs`, for one change of one copy. */
export const changeMs = 180_000;
