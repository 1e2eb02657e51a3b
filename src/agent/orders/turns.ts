import { DewyError } from "../../errors.ts";
import { abortable, type Call, Mutex } from "../../util/async.ts";
import type { Clock } from "../../util/time.ts";

/** What is under way, and since when. */
export interface Turn {
  readonly with: string;
  readonly step: string | null;
  readonly since: string;
}

/** Somebody who waits for an order. */
export interface Asker {
  /** Their patience: what has begun goes on without them. */
  readonly c: Call;
  onWaiting(what: string): void;
  onStep(step: string): void;
  onReceived(bytes: number, totalBytes: number | null): void;
}

/** Whatever changes this host happens in turn, in the order it came. */
export class Turns {
  readonly #mutex = new Mutex();
  readonly #waiting = new Set<Asker>();
  #turn: Turn | null = null;
  #asker: Asker | null = null;
  /** When what is under way last came further. */
  #movedMs = 0;
  #isOver = false;

  constructor(private readonly clock: Pick<Clock, "now" | "monotonicMs">) {}

  get current(): Turn | null {
    return this.#turn;
  }

  /** For how long what is under way has come no further; 0: nothing is. */
  get stillMs(): number {
    return this.#turn === null ? 0 : this.clock.monotonicMs() - this.#movedMs;
  }

  /** Runs `work` when its turn comes. An asker who has gone by then has withdrawn it. */
  take<T>(what: string, work: () => Promise<T>, asker: Asker | null = null): Promise<T> {
    if (asker !== null) {
      if (this.#turn !== null) asker.onWaiting(this.#turn.with);
      this.#waiting.add(asker);
    }
    const done = this.#mutex.run(async () => {
      if (asker !== null) this.#waiting.delete(asker);
      asker?.c.signal.throwIfAborted();
      if (this.#isOver) throw new DewyError("stopped", "the agent is ending");
      this.#asker = asker;
      this.#begin(what);
      try {
        return await work();
      } finally {
        this.#turn = null;
        this.#asker = null;
      }
    });
    if (asker === null) return done;
    return abortable(done, asker.c.signal).finally(() => this.#waiting.delete(asker));
  }

  /** Resolves once what is under way is over; what waits for its turn does not begin any more. */
  end(): Promise<void> {
    this.#isOver = true;
    return this.#mutex.run(async () => undefined);
  }

  /** The turn that is under way came to be about something else: a check has found a release. */
  become(what: string): void {
    if (this.#turn !== null && this.#turn.with !== what) this.#begin(what);
  }

  step(step: string): void {
    if (this.#turn === null) return;
    this.#turn = { ...this.#turn, step };
    this.#moved();
    this.#asker?.onStep(step);
  }

  received(bytes: number, totalBytes: number | null): void {
    this.#moved();
    this.#asker?.onReceived(bytes, totalBytes);
  }

  #begin(what: string): void {
    this.#turn = { with: what, step: null, since: this.clock.now().toISOString() };
    this.#moved();
    for (const asker of this.#waiting) asker.onWaiting(what);
  }

  #moved(): void {
    this.#movedMs = this.clock.monotonicMs();
  }
}
