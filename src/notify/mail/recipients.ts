import type { Clock } from "../../util/time.ts";

/** Who puts strangers off (greylisting) mostly does so for some minutes; the other notices wait as long. */
const patienceMs = 20 * 60_000;

interface Missing {
  /** The notice's. */
  readonly id: string;
  readonly to: readonly string[];
  readonly sinceMs: number;
}

/**
 * Who still has to get the notice that is being sent: a server may take a mail for some and put others off. Known in
 * memory alone: after a restart in between all get it again.
 */
export class Recipients {
  #missing: Missing | null = null;
  /** Put off for too long: not waited for until they are taken again. */
  readonly #hopeless = new Set<string>();

  constructor(
    private readonly all: readonly string[],
    private readonly clock: Pick<Clock, "monotonicMs">,
  ) {}

  /** Whom the notice is to be sent to now. */
  of(id: string): readonly string[] {
    return this.#missing?.id === id ? this.#missing.to : this.all;
  }

  /** The notice was sent to `to`, and `putOff` may be taken later. Answers for whom it is to be sent again. */
  sent(id: string, to: readonly string[], putOff: readonly string[]): readonly string[] {
    for (const each of to) if (!putOff.includes(each)) this.#hopeless.delete(each);
    const nowMs = this.clock.monotonicMs();
    const sinceMs = this.#missing?.id === id ? this.#missing.sinceMs : nowMs;
    if (nowMs - sinceMs >= patienceMs) for (const each of putOff) this.#hopeless.add(each);
    const again = putOff.filter((each) => !this.#hopeless.has(each));
    this.#missing = again.length === 0 ? null : { id, to: again, sinceMs };
    return again;
  }
}
