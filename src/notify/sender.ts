import { DewyError, messageOf, toDewyError } from "../errors.ts";
import { duration, type Log } from "../log.ts";
import { abortable } from "../util/async.ts";
import type { Clock } from "../util/time.ts";
import type { Notice } from "./notice.ts";
import type { Notifier } from "./notifier.ts";
import type { Outbox } from "./outbox.ts";

export interface SenderOptions {
  /** Of the notifier's cursor. */
  readonly key: string;
  readonly notifier: Notifier;
}

export interface SenderDeps {
  readonly outbox: Pick<Outbox, "next" | "done" | "waiting" | "added">;
  readonly clock: Clock;
  readonly log: Log;
  /** 0 ≤ value < 1; hosts that lost a service together don't come back together. */
  readonly random: () => number;
  /** Aborts when the end is to take no longer. */
  readonly hurry: AbortSignal;
  readonly onStep: (step: SenderStep) => void;
}

/** The points at which a notice is on its way, for tests that stop the agent there. */
export type SenderStep = "sending" | "answered";

/** A service that answers nothing within this time is tried again. */
const sendDeadlineMs = 30_000;
const backOffMs = { first: 1000, most: 5 * 60_000 } as const;
/** A service that says "come back in a year" is asked again before. */
const longestLimitMs = 65 * 60_000;
/** What is pending at the end gets this long; the rest stays for the next start. */
const lastMs = 10_000;
const closeDeadlineMs = 2000;
/** What a notifier throws that is no DewyError is a mistake of ours: not for ever. */
const mistakesForgiven = 5;

interface Outage {
  readonly sinceMs: number;
  /** Tries that failed. */
  readonly failures: number;
}

/** How long to leave the service alone; `named`: because it said so. */
interface Pause {
  readonly ms: number;
  readonly named: boolean;
}

/**
 * Sends one notifier what the outbox holds for it: in order, one at a time, each until it is taken. Begins at once, with
 * what an earlier agent left. Its disposal brings home what it can in ten seconds and closes the notifier.
 */
export class Sender implements AsyncDisposable {
  /** No new sleep; what waits may try once more. */
  readonly #closing = new AbortController();
  /** Time is up. */
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  #closeUntilMs = 0;
  #outage: Outage | null = null;
  #mistakes = 0;
  #isClosed = false;

  constructor(
    private readonly options: SenderOptions,
    private readonly deps: SenderDeps,
  ) {
    this.#running = this.#run();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const { clock, hurry, log, outbox } = this.deps;
    const { notifier, key } = this.options;
    this.#closeUntilMs = clock.monotonicMs() + lastMs;
    this.#closing.abort();
    const enough = AbortSignal.any([hurry, this.#stop.signal]);
    const limit = clock.sleep(lastMs, enough).then(
      () => this.#stop.abort(),
      () => this.#stop.abort(),
    );
    await this.#running;
    this.#stop.abort();
    await limit;
    const left = outbox.waiting(key);
    if (left > 0) log.warn("Notices wait for the next start", { notifier: notifier.name, waiting: left });
    const closing = (async () => notifier[Symbol.asyncDispose]())();
    await abortable(closing, AbortSignal.timeout(closeDeadlineMs)).catch((error) => {
      log.warn("Notifier not closed", { notifier: notifier.name, error: messageOf(error) });
    });
  }

  async #run(): Promise<void> {
    const { outbox } = this.deps;
    while (!this.#stop.signal.aborted) {
      const notice = outbox.next(this.options.key);
      if (notice !== null) {
        const pause = await this.#send(notice);
        if (pause !== null && !(await this.#wait(pause))) return;
      } else if (this.#closing.signal.aborted) {
        return;
      } else {
        await abortable(outbox.added(), this.#closing.signal).catch(() => undefined);
      }
    }
  }

  /** null: it is done with, or time is up. */
  async #send(notice: Notice): Promise<Pause | null> {
    const { outbox, onStep } = this.deps;
    try {
      onStep("sending");
      await this.#deliver(notice);
    } catch (error) {
      return this.#stop.signal.aborted ? null : this.#failed(notice, error);
    }
    onStep("answered");
    // Counted before it is done with: this one waited, too.
    const waited = outbox.waiting(this.options.key);
    outbox.done(this.options.key, notice);
    this.#works(waited);
    return null;
  }

  /** Rejects in time, whether the notifier heeds its signal or not. */
  async #deliver(notice: Notice): Promise<void> {
    const { clock } = this.deps;
    const { notifier } = this.options;
    const deadline = new AbortController();
    const answered = new AbortController();
    const late = new DewyError(
      "network-timeout",
      `${notifier.name}: no answer within ${sendDeadlineMs / 1000}s`,
    );
    const timer = clock.sleep(sendDeadlineMs, AbortSignal.any([answered.signal, this.#stop.signal])).then(
      () => deadline.abort(late),
      () => undefined,
    );
    const signal = AbortSignal.any([deadline.signal, this.#stop.signal]);
    try {
      await abortable((async () => notifier.notify(notice, { signal }))(), signal);
    } catch (error) {
      throw deadline.signal.aborted ? late : error;
    } finally {
      answered.abort();
      await timer;
    }
  }

  #failed(notice: Notice, thrown: unknown): Pause | null {
    const { outbox, clock, random } = this.deps;
    const failure = toDewyError(thrown, "notify");
    const failures = (this.#outage?.failures ?? 0) + 1;
    if (!(thrown instanceof DewyError)) this.#mistakes += 1;
    if (!failure.retryable || this.#mistakes > mistakesForgiven) {
      this.#mistakes = 0;
      this.#warn("Notice dropped: the notifier will not take it", failure, { kind: notice.event.kind });
      outbox.done(this.options.key, notice);
      return null;
    }
    if (this.#outage === null) this.#warn("Notifier not reached; its notices wait", failure);
    this.#outage = { sinceMs: this.#outage?.sinceMs ?? clock.monotonicMs(), failures };
    const fullMs = Math.min(backOffMs.most, backOffMs.first * 2 ** Math.min(failures - 1, 20));
    const ownMs = fullMs / 2 + (fullMs / 2) * random();
    const namedMs = Math.min(failure.retryAfterMs ?? 0, longestLimitMs);
    return { ms: Math.max(ownMs, namedMs), named: namedMs > 0 };
  }

  #works(waited: number): void {
    this.#mistakes = 0;
    if (this.#outage === null) return;
    const { log, clock } = this.deps;
    const after = duration(Math.round(clock.monotonicMs() - this.#outage.sinceMs));
    log.info("Notifier works again", { notifier: this.options.notifier.name, waited, after });
    this.#outage = null;
  }

  #warn(message: string, failure: DewyError, more: { readonly kind?: string } = {}): void {
    const { name } = this.options.notifier;
    this.deps.log.warn(message, {
      notifier: name,
      ...more,
      error: messageOf(failure),
      hint: failure.hint,
    });
  }

  /** false: there is no time left to try again. At the end a pause of our own is cut short, once. */
  async #wait({ ms, named }: Pause): Promise<boolean> {
    const { clock } = this.deps;
    const wasClosing = this.#closing.signal.aborted;
    const untilMs = clock.monotonicMs() + ms;
    if (!wasClosing) {
      await clock.sleep(ms, this.#closing.signal).catch(() => undefined);
      if (!this.#closing.signal.aborted || !named) return true;
    }
    if (untilMs > this.#closeUntilMs) return false;
    const leftMs = Math.max(0, untilMs - clock.monotonicMs());
    return clock.sleep(leftMs, this.#stop.signal).then(
      () => true,
      () => false,
    );
  }
}
