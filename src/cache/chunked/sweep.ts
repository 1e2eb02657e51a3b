import { messageOf } from "../../errors.ts";
import type { Log } from "../../log.ts";
import { abortable, type Call, withDeadline } from "../../util/async.ts";
import type { Clock } from "../../util/time.ts";
import type { KeyValue } from "../key-value.ts";
import { chunksOf, type Heads } from "./heads.ts";
import { chunkPrefix, parseChunkName } from "./names.ts";

const hourMs = 3_600_000;
/** No write takes as long: those that do are given up (`putDeadlineMs`). */
const orphanAgeMs = hourMs;
const sweepEveryMs = hourMs;
const sweepDeadlineMs = 10 * 60_000;
const maxDeletes = 2000;
export const putDeadlineMs = 50 * 60_000;

/** Removes the chunks of writers that died before they had written their head, now and then. */
export class Sweep implements AsyncDisposable {
  readonly #ended = new AbortController();
  /** Never rejects. */
  #running = Promise.resolve();
  #nextMs: number;

  constructor(
    private readonly kv: KeyValue,
    private readonly heads: Heads,
    private readonly deps: { readonly clock: Clock; readonly log: Log },
  ) {
    // What runs for one deploy only leaves it to those that stay.
    this.#nextMs = deps.clock.monotonicMs() + sweepEveryMs;
  }

  /** At most once an hour in one process. Nobody waits for it, and what fails here fails nothing else. */
  startIfDue(): void {
    const nowMs = this.deps.clock.monotonicMs();
    // Where entries expire, orphans do too.
    if (this.kv.ttlMs !== null || nowMs < this.#nextMs) return;
    this.#nextMs = nowMs + sweepEveryMs;
    this.#running = this.#run();
  }

  /** Ends one that is under way. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { log } = this.deps;
    const c = withDeadline({ signal: this.#ended.signal }, sweepDeadlineMs);
    try {
      const removed = await abortable(this.#removeOrphans(c), c.signal);
      if (removed > 0) log.info("Orphaned cache chunks removed", { count: removed });
    } catch (error) {
      if (this.#ended.signal.aborted) return;
      log.warn("Orphaned cache chunks not removed", { error: messageOf(error) });
    }
  }

  async #removeOrphans(c: Call): Promise<number> {
    const oldest = this.deps.clock.now().getTime() - orphanAgeMs;
    const names: { readonly name: string; readonly id: string }[] = [];
    for await (const name of this.kv.list(chunkPrefix, c)) {
      const chunk = parseChunkName(name);
      if (chunk !== null && chunk.begunAtMs < oldest) names.push({ name, id: chunk.id });
    }
    if (names.length === 0) return 0;
    // After the chunks: what refers to them now has referred to them before.
    const used = new Set((await this.heads.list("", c)).map((head) => chunksOf(head)?.id));
    const orphans = names.filter(({ id }) => !used.has(id)).slice(0, maxDeletes);
    await this.kv.delete(
      orphans.map(({ name }) => name),
      c,
    );
    return orphans.length;
  }
}
