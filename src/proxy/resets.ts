import { unconfirmedBytes } from "../util/libc.ts";
import type { Clock } from "../util/time.ts";
import { descriptorOf } from "./descriptors.ts";
import type { End } from "./link.ts";

const lookEveryMs = 20;

/**
 * Passes a reset on. What came before it is delivered first: a reset discards what the kernel has not sent yet, so it
 * waits until the other side has confirmed everything, for `flushMs` at most. (A FIN instead would let half an answer
 * pass for a whole one.)
 */
export class Resets {
  readonly #untilMs = new Map<End, number>();
  #looking = false;

  constructor(
    private readonly flushMs: number,
    private readonly clock: Clock,
    private readonly signal: AbortSignal,
  ) {}

  pass(end: End): void {
    if (isFlushed(end)) {
      end.socket?.terminate();
      return;
    }
    this.#untilMs.set(end, this.clock.monotonicMs() + this.flushMs);
    if (!this.#looking) this.#lookLater();
  }

  #lookLater(): void {
    this.#looking = true;
    this.clock.sleep(lookEveryMs, this.signal).then(
      () => this.#look(),
      () => undefined, // the proxy was closed, and its connections with it
    );
  }

  #look(): void {
    this.#looking = false;
    const now = this.clock.monotonicMs();
    for (const [end, untilMs] of this.#untilMs) {
      if (now < untilMs && !isFlushed(end)) continue;
      this.#untilMs.delete(end);
      end.socket?.terminate();
    }
    if (this.#untilMs.size > 0) this.#lookLater();
  }
}

function isFlushed({ socket, queue }: End): boolean {
  if (socket === null) return true;
  const fd = descriptorOf(socket);
  return queue === null && (fd === null || unconfirmedBytes(fd) === 0);
}
