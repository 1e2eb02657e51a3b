import { DewyError, messageOf, toDewyError } from "../errors.ts";
import type { Log } from "../log.ts";
import { abortable } from "../util/async.ts";
import type { Clock } from "../util/time.ts";
import { messageOf as textOf } from "./message.ts";
import type { Notice } from "./notice.ts";
import { MessageRefused, type Notifier } from "./notifier.ts";
import { Outage, type Pause } from "./outage.ts";
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

/** How a notifier is. */
export interface NotifierView {
  /** `slack://channel`, without anything secret. */
  readonly name: string;
  /** So many notices wait for it. */
  readonly waiting: number;
  /** Why they can't be sent; null: nothing is in the way. */
  readonly problem: string | null;
}

/** The points at which a notice is on its way, for tests that stop the agent there. */
export type SenderStep = "sending" | "answered";

/** What is pending at the end gets this long; the rest stays for the next start. */
const lastMs = 10_000;
const closeDeadlineMs = 2000;
/** What a notifier throws that is no DewyError is a mistake of ours: not for ever. */
const mistakesForgiven = 5;

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
  readonly #outage: Outage;
  #mistakes = 0;
  #isClosed = false;

  constructor(
    private readonly options: SenderOptions,
    private readonly deps: SenderDeps,
  ) {
    this.#outage = new Outage(options.notifier.name, deps);
    this.#running = this.#run();
  }

  /** Looks at memory only. */
  view(): NotifierView {
    const { notifier, key } = this.options;
    return {
      name: notifier.name,
      waiting: this.deps.outbox.waiting(key),
      problem: this.#outage.problem,
    };
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
      const notice = this.#next();
      if (notice !== null) {
        const pause = "ms" in notice ? notice : await this.#send(notice);
        if (pause !== null && !(await this.#wait(pause))) return;
      } else if (this.#closing.signal.aborted) {
        return;
      } else {
        await abortable(outbox.added(), this.#closing.signal).catch(() => undefined);
      }
    }
  }

  /** null: there is none. A pause: its file can't be read, and may be then. */
  #next(): Notice | Pause | null {
    try {
      return this.deps.outbox.next(this.options.key);
    } catch (error) {
      return this.#outage.failed("unread", toDewyError(error, "read a notice"));
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
    this.#mistakes = 0;
    this.#outage.over(waited);
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
      `${notifier.name}: no answer within ${notifier.deadlineMs / 1000}s`,
    );
    const timer = clock
      .sleep(notifier.deadlineMs, AbortSignal.any([answered.signal, this.#stop.signal]))
      .then(
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

  /** What this notice is refused for concerns no other; any other refusal concerns them all, and they wait. */
  #failed(notice: Notice, thrown: unknown): Pause | null {
    const failure = toDewyError(thrown, "notify");
    if (!(thrown instanceof DewyError)) this.#mistakes += 1;
    if (failure instanceof MessageRefused || this.#mistakes > mistakesForgiven) {
      this.#mistakes = 0;
      this.#drop(notice, failure);
      return null;
    }
    return this.#outage.failed(failure.retryable ? "away" : "refused", failure);
  }

  /** The log is the last place where somebody may read it. */
  #drop(notice: Notice, failure: DewyError): void {
    const { log, outbox } = this.deps;
    log.warn("Notice dropped: the notifier will not take it", {
      notifier: this.options.notifier.name,
      kind: notice.event.kind,
      message: textOf(notice.event),
      error: messageOf(failure),
      hint: failure.hint,
    });
    outbox.done(this.options.key, notice);
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
