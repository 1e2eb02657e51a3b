import type { Notice } from "../../src/notify/notice.ts";
import type { Notifier } from "../../src/notify/notifier.ts";
import type { Call } from "../../src/util/async.ts";
import { signOf } from "./outbox-host.ts";

type Answer = (notice: Notice, c: Call) => Promise<void>;

/** A notifier that does what a test tells it: each answer for one call, from then on it takes everything. */
export class ScriptedNotifier implements Notifier {
  readonly name = "slack://ops";
  readonly identity = "slack://ops";
  readonly deadlineMs = 30_000;
  /** What was taken, as tags or kinds. */
  readonly taken: string[] = [];
  readonly ids: string[] = [];
  calls = 0;
  /** The most calls that were under way together. */
  together = 0;
  closed = 0;
  onClose: () => Promise<void> = async () => undefined;
  readonly #script: Answer[] = [];
  #underWay = 0;

  first(...answers: readonly Answer[]): this {
    this.#script.push(...answers);
    return this;
  }

  notify(notice: Notice, c: Call): Promise<void> {
    this.calls += 1;
    const answer = this.#script.shift();
    if (answer === throwsAtOnce) throw new Error("surprise");
    return this.#answer(answer, notice, c);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.closed += 1;
    await this.onClose();
  }

  async #answer(answer: Answer | undefined, notice: Notice, c: Call): Promise<void> {
    this.#underWay += 1;
    this.together = Math.max(this.together, this.#underWay);
    try {
      await answer?.(notice, c);
      await Promise.resolve();
      this.taken.push(signOf(notice.event));
      this.ids.push(notice.id);
    } finally {
      this.#underWay -= 1;
    }
  }
}

export const fails =
  (error: unknown): Answer =>
  () =>
    Promise.reject(error);

/** No answer, until the caller's signal ends it. */
export const hangs: Answer = (_, { signal }) =>
  new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason)));

/** No answer, whatever the signal says. */
export const ignoresAll: Answer = () => new Promise(() => {});

export const throwsAtOnce: Answer = () => Promise.resolve();
