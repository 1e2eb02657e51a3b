import type { Call } from "../../util/async.ts";
import type { Clock } from "../../util/time.ts";
import type { Claim } from "./entry.ts";
import type { EntrySlot, Look } from "./slot.ts";

/** This host's right to ask the registry for all. */
export interface Held {
  readonly claim: Claim;
  readonly look: Look;
  /** When it was claimed, on the monotonic clock. */
  readonly atMs: number;
}

/** Not renewed for so long, a claim is a dead host's. tenure.ts renews it thrice as often: one renewal may fail. */
const claimLengthMs = 30_000;

/** The claims that this host makes. */
export class Claims {
  /** The last one whose swap was said to have failed: the cache may have taken it all the same. */
  #doubtful: { readonly id: string; readonly atMs: number } | null = null;

  constructor(
    private readonly slot: EntrySlot,
    private readonly options: { readonly owner: string; readonly clock: Clock },
  ) {}

  /** null: somebody else was first, or the cache does not answer. */
  async make({ entry, version }: Look, c: Call): Promise<Held | null> {
    const { owner, clock } = this.options;
    // From before the others can see it, so that this host's time is up first.
    const atMs = clock.monotonicMs();
    const claim = { id: crypto.randomUUID(), by: owner, at: clock.now(), lengthMs: claimLengthMs };
    this.#doubtful = { id: claim.id, atMs };
    const { answer, failure } = entry ?? { answer: null, failure: null };
    const look = await this.slot.swap(version, { answer, claim, failure }, c);
    if (look === null) return null;
    this.#doubtful = null;
    return { claim, look, atMs };
  }

  /** The claim in the entry, if this host made it without knowing and there is time to use it. */
  inDoubt(look: Look): Held | null {
    const doubtful = this.#doubtful;
    const claim = look.entry?.claim ?? null;
    if (doubtful === null || claim?.id !== doubtful.id) return null;
    this.#doubtful = null;
    const { atMs } = doubtful;
    return this.options.clock.monotonicMs() - atMs < claim.lengthMs / 2 ? { claim, look, atMs } : null;
  }
}
