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
  /** Of its claim, as it was made or renewed last; null: there is none. */
  readonly claimSeen: Sighting | null;
  /** Of its last try, whoever claims the next one and gives the claim back; null: there is none. */
  readonly trySeen: Sighting | null;
  /** Of its answer, which outlives claims and failures. */
  readonly answerSeen: Sighting | null;
}

const stepDeadlineMs = 8000;

/** The scope's place in the shared cache, and what this host saw there. */
export class EntrySlot {
  readonly #key: string;
  readonly #claims = new Watch();
  readonly #failures = new Watch();
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
    const body = encodeEntry(entry, this.scope, this.memory.maxValueBytes);
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
    const decoded = decodeEntry(body, this.scope);
    if ("entry" in decoded) return decoded.entry;
    if (this.#unreadable !== version) {
      this.#unreadable = version;
      const about = { rule: decoded.rule, registry: registryIn(this.scope), key: this.#key };
      this.deps.log.warn("Shared registry result not readable; it is replaced", about);
    }
    return null;
  }

  #noted(entry: SharedEntry | null, version: string | null, startMs: number): Look {
    const look = { startMs, endMs: this.deps.clock.monotonicMs() };
    const now = this.deps.clock.now().getTime();
    const { answer, claim, failure } = entry ?? { answer: null, claim: null, failure: null };
    const written = (id: string, at: Date) => ({ id, clockAgeMs: now - at.getTime() });
    // Each renewal is another version, whatever its clock says.
    const claimSeen = this.#claims.note(claim && written(version ?? "", claim.at), look);
    const failureSeen = this.#failures.note(
      failure && written(idOf(failure.at, failure.by), failure.at),
      look,
    );
    const answerSeen = this.#answers.note(
      answer && written(idOf(answer.fetchedAt, answer.by), answer.fetchedAt),
      look,
    );
    return { entry, version, claimSeen, trySeen: failureSeen ?? answerSeen, answerSeen };
  }
}

function idOf(at: Date, by: string): string {
  return `${at.getTime()} ${by}`;
}
