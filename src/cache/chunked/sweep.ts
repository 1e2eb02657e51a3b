import { messageOf } from "../../errors.ts";
import type { Log } from "../../log.ts";
import type { Call } from "../../util/async.ts";
import type { Clock } from "../../util/time.ts";
import type { KeyValue } from "../key-value.ts";
import { chunksOf, type Heads } from "./heads.ts";
import { chunkPrefix, parseChunkName } from "./names.ts";

const hourMs = 3_600_000;
/** No write takes as long: those that do are given up (`putDeadlineMs`). */
const orphanAgeMs = hourMs;
const sweepEveryMs = hourMs;
const maxDeletes = 2000;
export const putDeadlineMs = 50 * 60_000;

/** Removes the chunks of writers that died before they had written their head, now and then. */
export class Sweep {
  #nextMs = 0;

  constructor(
    private readonly kv: KeyValue,
    private readonly heads: Heads,
    private readonly deps: { readonly clock: Clock; readonly log: Log },
  ) {}

  /** At most once an hour in one process; what fails here fails no write. */
  async runIfDue(c: Call): Promise<void> {
    const { clock, log } = this.deps;
    // Where entries expire, orphans do too.
    if (this.kv.ttlMs !== null || clock.monotonicMs() < this.#nextMs) return;
    this.#nextMs = clock.monotonicMs() + sweepEveryMs;
    try {
      const removed = await this.#run(c);
      if (removed > 0) log.info("Orphaned cache chunks removed", { count: removed });
    } catch (error) {
      c.signal.throwIfAborted();
      log.warn("Orphaned cache chunks not removed", { error: messageOf(error) });
    }
  }

  async #run(c: Call): Promise<number> {
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
