import { messageOf } from "../errors.ts";
import type { Log } from "../log.ts";
import { sendDatagram } from "../util/libc-datagram.ts";
import type { Clock } from "../util/time.ts";
import type { ManagerAddress } from "./address.ts";
import { due, extensionAssignment, nothingTold, type Seen, statusAssignment, type Told } from "./report.ts";

const roundMs = 1000;

/** What is to be told, looked at each second. */
export type Look = () => Omit<Seen, "nowMs">;

/**
 * Tells the service manager how the agent is, from its first moment until it is disposed of. Nothing it does can fail:
 * an agent that nobody listens to serves all the same.
 */
export class ManagerLine implements Disposable {
  readonly #end = new AbortController();
  #told: Told = nothingTold;
  /** Of the end; null: it goes on. */
  #last: { readonly assignments: readonly string[]; isTold: boolean } | null = null;
  #isComplained = false;

  constructor(
    private readonly address: ManagerAddress,
    private readonly seen: Look,
    private readonly deps: { readonly clock: Clock; readonly log: Log },
  ) {
    void this.#run();
  }

  /** Tells what has changed at once. */
  look(): void {
    if (!this.#end.signal.aborted) this.#round();
  }

  /** The agent ends, which takes at most `withinMs`, whatever the unit grants it. */
  stopping(withinMs: number): void {
    if (this.#last !== null) return;
    // A unit's TimeoutStopSec knows nothing of how long this app may take.
    const assignments = ["STOPPING=1", statusAssignment("stopping"), extensionAssignment(withinMs)];
    this.#last = { assignments, isTold: false };
    this.look();
  }

  [Symbol.dispose](): void {
    this.#end.abort();
  }

  async #run(): Promise<void> {
    while (!this.#end.signal.aborted) {
      this.#round();
      await this.deps.clock.sleep(this.#pauseMs, this.#end.signal).catch(() => undefined);
    }
  }

  get #pauseMs(): number {
    return Math.min(roundMs, (this.address.watchdogMs ?? Number.POSITIVE_INFINITY) / 4);
  }

  #round(): void {
    const { watchdogMs } = this.address;
    // Twice as often as sd_watchdog_enabled(3) advises: a disk that blocks the whole process has most of the limit.
    const aliveEveryMs = watchdogMs === null ? null : watchdogMs / 4 - this.#pauseMs;
    const nowMs = this.deps.clock.monotonicMs();
    const seen = { ...this.seen(), nowMs };
    const { assignments, told } = due(seen, this.#told, aliveEveryMs);
    const now = this.#last === null ? assignments : [...this.#owed, ...assignments.filter(isOfLife)];
    // What did not arrive is told again in the next round.
    if (now.length > 0 && !this.#send(now)) return;
    this.#told = told;
    if (this.#last !== null) this.#last.isTold = true;
  }

  get #owed(): readonly string[] {
    return this.#last === null || this.#last.isTold ? [] : this.#last.assignments;
  }

  #send(assignments: readonly string[]): boolean {
    try {
      sendDatagram(this.address.socket, assignments.join("\n"));
      return true;
    } catch (error) {
      if (!this.#isComplained) {
        this.deps.log.warn("The service manager can't be told how dewy is", { error: messageOf(error) });
      }
      this.#isComplained = true;
      return false;
    }
  }
}

/** Of an agent that ends nothing else is told: nothing becomes ready any more, and its status stays. */
function isOfLife(assignment: string): boolean {
  return assignment === "WATCHDOG=1";
}
