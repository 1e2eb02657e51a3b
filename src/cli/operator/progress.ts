import type { OrderProgress } from "../../agent/orders/operations.ts";
import type { Clock } from "../../util/time.ts";
import { printable } from "./render.ts";
import { renderSpan } from "./render-time.ts";
import { painted, type Screen } from "./screen.ts";

const frameMs = 120;
const frames = ["|", "/", "-", "\\"];
const barWidth = 24;
const units = ["B", "KiB", "MiB", "GiB", "TiB"] as const;

/**
 * What an operator sees while an order is carried out. On a terminal the last line moves; elsewhere each step is a
 * line, and of a download there is one at its end.
 */
export class ProgressView implements Disposable {
  readonly #screen: Screen;
  readonly #clock: Clock;
  readonly #end = new AbortController();
  readonly #startMs: number;
  #now = "";
  #received: Extract<OrderProgress, { kind: "received" }> | null = null;
  #receivedSinceMs = 0;
  #frame = 0;

  constructor(screen: Screen, clock: Clock, what: string) {
    this.#screen = screen;
    this.#clock = clock;
    this.#startMs = clock.monotonicMs();
    this.#now = what;
    if (screen.live) void this.#spin();
  }

  show(progress: OrderProgress): void {
    switch (progress.kind) {
      case "waiting":
        this.#now = `waiting for ${progress.for}`;
        this.#line(`Waiting for ${progress.for} to end.`);
        break;
      case "step":
        this.#received = null;
        this.#now = progress.step;
        this.#line(`${this.#elapsed()}  ${progress.step}`);
        break;
      case "received":
        this.#receive(progress);
        break;
    }
  }

  #receive(progress: Extract<OrderProgress, { kind: "received" }>): void {
    if (this.#received === null) this.#receivedSinceMs = this.#clock.monotonicMs();
    this.#received = progress;
    if (progress.bytes !== progress.totalBytes) return;
    this.#received = null;
    this.#line(`${this.#elapsed()}  received ${renderSize(progress.bytes)}`);
  }

  #line(text: string): void {
    const clear = this.#screen.live ? "\r\u001b[K" : "";
    this.#screen.write(`${clear}${printable(text)}\n`);
    this.#draw();
  }

  #elapsed(): string {
    return `${((this.#clock.monotonicMs() - this.#startMs) / 1000).toFixed(1)}s`.padStart(7);
  }

  async #spin(): Promise<void> {
    try {
      for (;;) {
        this.#draw();
        await this.#clock.sleep(frameMs, this.#end.signal);
        this.#frame += 1;
      }
    } catch {
      // it has ended
    }
  }

  #draw(): void {
    if (!this.#screen.live || this.#end.signal.aborted) return;
    // One column less: some terminals wrap when the last one is filled.
    const width = (this.#screen.columns() ?? 80) - 1;
    const frame = frames[this.#frame % frames.length] ?? "";
    const span = renderSpan(this.#clock.monotonicMs() - this.#startMs);
    const text = this.#received === null ? this.#now : this.#bar(this.#received, width);
    const line = `${frame} ${printable(text)}  ${span}`.slice(0, width);
    this.#screen.write(`\r\u001b[K${painted(line, "dim", this.#screen)}`);
  }

  #bar({ bytes, totalBytes }: Extract<OrderProgress, { kind: "received" }>, width: number): string {
    const seconds = (this.#clock.monotonicMs() - this.#receivedSinceMs) / 1000;
    const speed = seconds < 1 ? "" : `  ${renderSize(bytes / seconds)}/s`;
    if (totalBytes === null || totalBytes === 0) return `received ${renderSize(bytes)}${speed}`;
    const share = Math.min(1, bytes / totalBytes);
    const full = Math.round(share * barWidth);
    const bar = width < 70 ? "" : `[${"#".repeat(full)}${".".repeat(barWidth - full)}]  `;
    const percent = `${Math.floor(share * 100)}%`.padStart(4);
    return `${bar}${percent} of ${renderSize(totalBytes)}${speed}`;
  }

  /** What moves goes; what was a line stays. */
  [Symbol.dispose](): void {
    if (this.#screen.live && !this.#end.signal.aborted) this.#screen.write("\r\u001b[K");
    this.#end.abort();
  }
}

/** `512 B`, `1.5 KiB`, `20.0 MiB`. */
function renderSize(bytes: number): string {
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log2(Math.max(1, bytes)) / 10)));
  return `${(bytes / 1024 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`;
}
