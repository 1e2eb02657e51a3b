import type { OrderProgress } from "../agent/orders/operations.ts";
import type { Clock } from "../util/time.ts";
import { type AnswerLine, aliveMs, type Hello } from "./protocol.ts";

/** Lines that a reader may be behind; what is no result is left out for one that takes none. */
const maxBehind = 256;
const receivedEveryMs = 100;

/** The lines of one answer. A sign of life goes out regularly: who hears none knows that the agent hangs. */
export class AnswerStream {
  readonly body: ReadableStream<Uint8Array>;
  readonly #encoder = new TextEncoder();
  readonly #gone = new AbortController();
  readonly #clock: Clock;
  readonly #onEnd: () => void;
  #controller: ReadableStreamDefaultController<Uint8Array> | null = null;
  #lastReceivedMs = Number.NEGATIVE_INFINITY;

  constructor(hello: Hello, clock: Clock, onEnd: () => void) {
    this.#clock = clock;
    this.#onEnd = onEnd;
    const start = (controller: ReadableStreamDefaultController<Uint8Array>) => {
      this.#controller = controller;
      this.#write({ kind: "hello", ...hello });
    };
    this.body = new ReadableStream({ start, cancel: () => this.#close() }, { highWaterMark: maxBehind });
    void this.#beat();
  }

  /** Aborts when whoever asked is gone, or has been answered. */
  get signal(): AbortSignal {
    return this.#gone.signal;
  }

  progress(progress: OrderProgress): void {
    if (progress.kind === "received" && progress.bytes !== progress.totalBytes) {
      const nowMs = this.#clock.monotonicMs();
      if (nowMs - this.#lastReceivedMs < receivedEveryMs) return;
      this.#lastReceivedMs = nowMs;
    }
    this.#writeIfTaken({ kind: "progress", progress });
  }

  /** The last line; nothing comes behind it. */
  end(line: Extract<AnswerLine, { kind: "result" | "error" }>): void {
    const controller = this.#controller;
    if (controller === null) return;
    this.#write(line);
    controller.close();
    this.#close();
  }

  #close(): void {
    if (this.#controller === null) return;
    this.#controller = null;
    this.#gone.abort();
    this.#onEnd();
  }

  async #beat(): Promise<void> {
    try {
      for (;;) {
        await this.#clock.sleep(aliveMs, this.signal);
        this.#writeIfTaken({ kind: "alive" });
      }
    } catch {
      // it has ended
    }
  }

  #writeIfTaken(line: AnswerLine): void {
    if ((this.#controller?.desiredSize ?? 0) > 0) this.#write(line);
  }

  #write(line: AnswerLine): void {
    this.#controller?.enqueue(this.#encoder.encode(`${JSON.stringify(line)}\n`));
  }
}
