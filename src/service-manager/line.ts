import { messageOf } from "../errors.ts";
import type { Log } from "../log.ts";
import { sendDatagram } from "../util/libc-datagram.ts";
import type { Clock } from "../util/time.ts";
import type { ManagerAddress } from "./address.ts";
import { due, nothingTold, type Seen, statusAssignment, type Told } from "./report.ts";

const roundMs = 1000;

/** What is to be told, looked at each second. */
export type Look = () => Omit<Seen, "nowMs">;

/**
 * Tells the service manager how the agent is, from its first moment until it is disposed of. Nothing it does can fail:
 * an agent that nobody listens to serves all the same.
 */
export class ManagerLine implements Disposable {
  readonly #end = new AbortController();
  #seen: Look = () => ({ isUp: false, status: "starting", isMoving: true });
  #told: Told = nothingTold;
  #stopping = false;
  #isComplained = false;

  constructor(
    private readonly address: ManagerAddress,
    private readonly deps: { readonly clock: Clock; readonly log: Log },
  ) {
    void this.#run();
  }

  /** From now on `look` says how the agent is. */
  follow(look: Look): void {
    this.#seen = look;
  }

  /** Tells what has changed at once. */
  look(): void {
    if (!this.#end.signal.aborted) this.#round();
  }

  /** The agent ends, which takes at most `withinMs`, whatever the unit grants it. */
  stopping(withinMs: number): void {
    if (this.#stopping) return;
    this.#stopping = true;
    // A unit's TimeoutStopSec knows nothing of how long this app may take.
    const extension = `EXTEND_TIMEOUT_USEC=${Math.ceil(withinMs) * 1000}`;
    this.#send(["STOPPING=1", statusAssignment("stopping"), extension]);
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
    // Half of the limit, as sd_watchdog_enabled(3) advises; the round after it would be too late.
    const aliveEveryMs = watchdogMs === null ? null : watchdogMs / 2 - this.#pauseMs;
    const nowMs = this.deps.clock.monotonicMs();
    const seen = { ...this.#seen(), nowMs };
    const { assignments, told } = due(seen, this.#told, aliveEveryMs);
    // The end has been told: nothing becomes ready any more, and its status stays.
    const still = this.#stopping ? assignments.filter((each) => each === "WATCHDOG=1") : assignments;
    // What did not arrive is told again in the next round.
    if (still.length === 0 || this.#send(still)) this.#told = told;
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
