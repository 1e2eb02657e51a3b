import type { Call } from "../../util/async.ts";
import type { Clock } from "../../util/time.ts";
import type { Held } from "./claims.ts";
import { within } from "./deadline.ts";
import type { SharedEntry } from "./entry.ts";
import type { EntrySlot, Look } from "./slot.ts";

const renewEveryMs = 10_000;
const handBackMs = 2000;

/**
 * A claim while its host asks. It is renewed until the end, so that a registry may take its time, and a claim that is
 * not renewed is known to be a dead host's after half a minute, however long an answer may take.
 */
export class Tenure {
  readonly #ended = new AbortController();
  readonly #renewing: Promise<void>;
  #look: Look;
  #lost = false;
  /** A write was begun whose outcome is not known: the entry may have another version. */
  #inDoubt = false;

  constructor(
    private readonly held: Held,
    private readonly slot: EntrySlot,
    private readonly clock: Clock,
  ) {
    this.#look = held.look;
    // It ends by its signal alone: of a cache that fails the slot tells.
    this.#renewing = this.#renew({ signal: this.#ended.signal }).catch(() => undefined);
  }

  /**
   * Puts what came of it in the claim's place, unless the claim went over to another host meanwhile. Rejects when `c`
   * aborts; may be called once more then.
   */
  async end(outcome: Pick<SharedEntry, "answer" | "failure">, c: Call): Promise<void> {
    this.#ended.abort();
    await this.#renewing;
    if (this.#lost) return;
    const entry = { ...outcome, claim: null };
    const doubtful = this.#inDoubt;
    this.#inDoubt = true;
    const written = await this.slot.swap(this.#look.version, entry, c);
    if (written !== null || !doubtful) return;
    const look = await this.slot.look(c);
    if (this.#isIn(look)) await this.slot.swap(look.version, entry, c);
  }

  /** As `end`, for a host that is told to stop: the next one asks at once. A slow cache lets the claim run out. */
  async handBack(outcome: Pick<SharedEntry, "answer" | "failure">): Promise<void> {
    const limit = { ms: handBackMs, doing: "hand back the claim", clock: this.clock };
    const unstoppable = { signal: new AbortController().signal };
    await within(limit, (call) => this.end(outcome, call), unstoppable).catch(() => undefined);
  }

  async #renew(c: Call): Promise<void> {
    const { held, slot, clock } = this;
    const { answer, failure } = held.look.entry ?? { answer: null, failure: null };
    for (let dueMs = held.atMs + renewEveryMs; ; dueMs += renewEveryMs) {
      await clock.sleep(Math.max(0, dueMs - clock.monotonicMs()), c.signal);
      const claim = { ...held.claim, at: clock.now() };
      this.#inDoubt = true;
      const renewed = await slot.swap(this.#look.version, { answer, claim, failure }, c);
      const look = renewed ?? (await slot.look(c));
      // The cache does not answer: it may in time for the next one.
      if (look === null) continue;
      this.#inDoubt = false;
      this.#lost = !this.#isIn(look);
      if (this.#lost) return;
      this.#look = look;
    }
  }

  #isIn(look: Look | null): look is Look {
    return look?.entry?.claim?.id === this.held.claim.id;
  }
}
