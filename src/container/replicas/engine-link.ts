import { type DewyError, toDewyError } from "../../errors.ts";
import type { Log } from "../../log.ts";
import { type Call, withDeadline } from "../../util/async.ts";
import type { Clock } from "../../util/time.ts";
import { labelsOfApp, readLabels } from "../labels.ts";
import type { Container, ContainerEvent, ContainerRuntime, RuntimeInfo } from "../runtime.ts";

/** Beyond what an engine's client itself allows; nothing waits for ever, whoever implements it. */
const answerMs = 120_000;

/** What the engine knows of one app's containers, and whether it answers at all: said once per change. */
export class EngineLink {
  #info: RuntimeInfo | null = null;
  #trouble: DewyError | null = null;

  constructor(
    readonly runtime: ContainerRuntime,
    private readonly owner: { readonly app: string; readonly root: string },
    private readonly deps: { readonly clock: Clock; readonly log: Log },
  ) {}

  /** Why the engine can't be asked at the moment; null: it answers. */
  get trouble(): string | null {
    return this.#trouble?.message ?? null;
  }

  /** The app's containers in all states, those of another agent's directory left out, and when they were asked for. */
  async list(c: Call): Promise<{ containers: readonly Container[]; askedMs: number; engine: RuntimeInfo }> {
    try {
      const listed = await this.bounded("list containers", answerMs, c, async (bounded) => {
        const engine = await this.#engineInfo(bounded);
        const askedMs = this.deps.clock.monotonicMs();
        const found = await this.runtime.list(labelsOfApp(this.owner.app), bounded);
        return { containers: found.filter((container) => this.#isOurs(container)), askedMs, engine };
      });
      if (this.#trouble !== null) this.deps.log.info("Container engine answers again");
      this.#trouble = null;
      return listed;
    } catch (error) {
      c.signal.throwIfAborted();
      const failure = toDewyError(error, "list containers");
      this.#note(failure);
      throw failure;
    }
  }

  async inspect(
    id: string,
    c: Call,
  ): Promise<{ container: Container | null; askedMs: number; engine: RuntimeInfo }> {
    return await this.bounded("inspect the container", answerMs, c, async (bounded) => {
      const engine = await this.#engineInfo(bounded);
      const askedMs = this.deps.clock.monotonicMs();
      return { container: await this.runtime.inspect(id, bounded), askedMs, engine };
    });
  }

  /** Calls back at each change until the engine ends the stream or `c` aborts. */
  async watch(onEvent: (event: ContainerEvent) => void, c: Call): Promise<void> {
    const relevant = (event: ContainerEvent) => {
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

  #isOurs({ labels }: Container): boolean {
    const root = readLabels(labels)?.root ?? null;
    return root === null || root === this.owner.root;
  }

  async #engineInfo(c: Call): Promise<RuntimeInfo> {
    this.#info ??= await this.runtime.info(c);
    return this.#info;
  }

  #note(failure: DewyError): void {
    const before = this.#trouble;
    this.#trouble = failure;
    this.#info = null; // another version may come back
    const attributes = { error: failure.message, hint: failure.hint };
    // Messages name what was being done, and so differ though the reason is one.
    if (before?.code === failure.code)
      this.deps.log.debug("Container engine still does not answer", attributes);
    else this.deps.log.warn("Container engine does not answer: what serves goes on", attributes);
  }
}

/** For what must be done whatever happens to the caller: taking back, cleaning up. */
export function detached(): Call {
  return { signal: new AbortController().signal };
}

/** As `answerMs`, for one change of one container. */
export const changeMs = 180_000;
