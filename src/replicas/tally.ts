import type { Probed } from "../health/policy.ts";
import type { Clock } from "../util/time.ts";
import type { Replica } from "./replica.ts";

/** How a copy ended that nobody had stopped. */
export interface Ending {
  readonly name: string;
  readonly replica: number;
  readonly exitCode: number;
  readonly oomKilled: boolean;
}

/** It is replaced at once: without this nobody would see why the last one ended. */
const keptMs = 60 * 60_000;

/** What is counted of all replicas that ever were. */
export class Tally {
  #checks = 0;
  #failures = 0;
  /** The last one of each replica number. */
  readonly #endings = new Map<number, { readonly ending: Ending; readonly atMs: number }>();

  constructor(private readonly clock: Pick<Clock, "monotonicMs">) {}

  /** Health checks since the agent's start. */
  get checks(): { readonly total: number; readonly failures: number } {
    return { total: this.#checks, failures: this.#failures };
  }

  /** Since the last deploy, of the last hour. */
  get endings(): readonly Ending[] {
    const since = this.clock.monotonicMs() - keptMs;
    for (const [number, { atMs }] of this.#endings) if (atMs <= since) this.#endings.delete(number);
    return [...this.#endings.values()].map(({ ending }) => ending);
  }

  checked({ ok, pending = false, unasked = false }: Probed): void {
    if (unasked) return;
    this.#checks += 1;
    if (!ok && !pending) this.#failures += 1;
  }

  /** After a deploy that went well, how copies before it ended says nothing of what runs. */
  forgive(): void {
    this.#endings.clear();
  }

  /** One that has not exited is none. */
  ended({ name, number, instance }: Replica): void {
    if (instance === null || instance.exitCode === null) return;
    const { exitCode, oomKilled } = instance;
    const ending = { name, replica: number, exitCode, oomKilled };
    this.#endings.set(number, { ending, atMs: this.clock.monotonicMs() });
  }
}
