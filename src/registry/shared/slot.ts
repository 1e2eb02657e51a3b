import { toDewyError } from "../../errors.ts";
import type { Log } from "../../log.ts";
import type { Call } from "../../util/async.ts";
import type { Clock } from "../../util/time.ts";
import { within } from "./deadline.ts";
import { decodeEntry, encodeEntry, type SharedEntry } from "./entry.ts";
import type { SharedMemory } from "./memory.ts";
import type { Outage, Step } from "./outage.ts";
import { entryKey, registryIn } from "./scope.ts";
import { type Sighting, Watch } from "./sighting.ts";

/** What this host saw in the shared cache. */
export interface Look {
  readonly entry: SharedEntry | null;
  /** What a swap must find there; null: nothing. */
  readonly version: string | null;
  /** Of the entry as it is; null: there is none, or none that can be read. */
  readonly seen: Sighting | null;
  /** Of its answer, which outlives claims and failures. */
  readonly answerSeen: Sighting | null;
}

const stepDeadlineMs = 8000;

/** The scope's place in the shared cache, and what this host saw there. */
export class EntrySlot {
  readonly #key: string;
  readonly #versions = new Watch();
  readonly #answers = new Watch();
  #unreadable: string | null = null;

  constructor(
    private readonly scope: string,
    private readonly memory: SharedMemory,
    private readonly outage: Outage,
    private readonly deps: { readonly clock: Clock; readonly log: Log },
  ) {
    this.#key = entryKey(scope);
  }

  /** null: the cache does not answer. */
  async look(c: Call): Promise<Look | null> {
    const startMs = this.deps.clock.monotonicMs();
    const stored = await this.#step("read", (call) => this.memory.get(this.#key, call), c);
    if (stored === undefined) return null;
    const entry = stored === null ? null : this.#read(stored);
    return this.#noted(entry, stored?.version ?? null, startMs);
  }

  /** null: somebody else was first, or the cache does not answer. */
  async swap(expected: string | null, entry: SharedEntry, c: Call): Promise<Look | null> {
    const body = encodeEntry(entry, this.memory.maxValueBytes);
    const write = (call: Call) => this.memory.compareAndSwap(this.#key, body, expected, call);
    const version = await this.#step("write", write, c);
    if (version === undefined || version === null) return null;
    // Nobody knows better than the writer when it was written.
    return this.#noted(entry, version, this.deps.clock.monotonicMs());
  }

  /** undefined: the cache does not answer. */
  async #step<T>(step: Step, work: (c: Call) => Promise<T>, c: Call): Promise<T | undefined> {
    const doing = `${step} the shared registry result`;
    try {
      const result = await within({ ms: stepDeadlineMs, doing, clock: this.deps.clock }, work, c);
      this.outage.succeeded(step);
      return result;
    } catch (error) {
      c.signal.throwIfAborted();
      this.outage.failed(step, toDewyError(error, doing));
      return undefined;
    }
  }

  #read({ body, version }: { readonly body: Uint8Array; readonly version: string }): SharedEntry | null {
    const entry = decodeEntry(body, this.scope);
    if (entry === null && this.#unreadable !== version) {
      this.#unreadable = version;
      const registry = registryIn(this.scope);
      this.deps.log.warn("Shared registry result not readable; it is replaced", { registry, key: this.#key });
    }
    return entry;
  }

  #noted(entry: SharedEntry | null, version: string | null, startMs: number): Look {
    const look = { startMs, endMs: this.deps.clock.monotonicMs() };
    const now = this.deps.clock.now().getTime();
    const since = (date: Date | undefined) => (date === undefined ? 0 : now - date.getTime());
    const readable = entry === null || version === null ? null : { entry, version };
    const seen = this.#versions.note(
      readable && { id: readable.version, clockAgeMs: since(lastTry(readable.entry)) },
      look,
    );
    const answer = entry?.answer ?? null;
    const answerSeen = this.#answers.note(
      answer && { id: `${answer.fetchedAt.getTime()} ${answer.by}`, clockAgeMs: since(answer.fetchedAt) },
      look,
    );
    return { entry, version, seen, answerSeen };
  }
}

/** A claim's time is the observer's to measure: no clock tells. */
function lastTry({ answer, claim, failure }: SharedEntry): Date | undefined {
  return claim === null ? (failure?.at ?? answer?.fetchedAt) : undefined;
}
