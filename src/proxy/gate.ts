import type { Clock } from "../util/time.ts";
import type { Acceptor } from "./acceptor.ts";
import type { Capacity } from "./capacity.ts";

/** How long the listeners rest when somebody else uses up the process's descriptors. */
const restMs = 1_000;

/**
 * Lets clients in while there is room. At the limit all listeners pause, before the process runs out of descriptors;
 * they go on when a hundredth of the limit is free.
 */
export class Gate {
  #acceptors: readonly Acceptor[] = [];
  #used = 0;
  #state: "open" | "paused" | "closed" = "open";
  #resting = false;

  constructor(
    private readonly capacity: Capacity,
    private readonly clock: Clock,
    private readonly signal: AbortSignal,
  ) {}

  get accepting(): boolean {
    return this.#state === "open";
  }

  watch(acceptors: readonly Acceptor[]): void {
    this.#acceptors = acceptors;
  }

  /** A connection, or an abandoned attempt that has a descriptor until the kernel gives it up. */
  enter(fd: number | null): void {
    this.#used += 1;
    if (this.#used >= this.capacity.maxConnections) this.#pause();
    else if (fd !== null && fd >= this.capacity.descriptorCeiling) this.#rest();
  }

  leave(): void {
    this.#used -= 1;
    this.#reconsider();
  }

  close(): void {
    this.#state = "closed";
    for (const acceptor of this.#acceptors) acceptor.close();
  }

  #reconsider(): void {
    if (this.#state !== "paused" || this.#resting) return;
    const { maxConnections } = this.capacity;
    const slack = Math.max(1, Math.floor(maxConnections / 100));
    if (this.#used > maxConnections - slack) return;
    this.#state = "open";
    const resumed = this.#acceptors.map((acceptor) => acceptor.resume());
    if (resumed.includes(false)) this.#rest();
  }

  #pause(): void {
    if (this.#state !== "open") return;
    this.#state = "paused";
    for (const acceptor of this.#acceptors) acceptor.pause();
  }

  #rest(): void {
    this.#pause();
    if (this.#resting) return;
    this.#resting = true;
    this.clock.sleep(restMs, this.signal).then(
      () => {
        this.#resting = false;
        this.#reconsider();
      },
      () => undefined, // the proxy was closed
    );
  }
}
