import type { ReplicaAddresses, Rotation } from "../../src/replicas/rotation.ts";
import { abortable, type Call } from "../../src/util/async.ts";

/** A rotation that serves nobody: connections are what a test says they are. */
export class FakeRotation implements Rotation {
  readonly #addresses = new Map<string, ReplicaAddresses>();
  readonly #members = new Set<string>();
  readonly #connections = new Map<string, number>();
  readonly #waiting = new Set<{ readonly replica: string; readonly resolve: () => void }>();
  /** What was done, in order: `admit a`, `retire b`, `drop b`. */
  readonly course: string[] = [];
  /** The fewest members since `watchFewest` was called. */
  fewest = Number.POSITIVE_INFINITY;
  #onChange: (() => void) | null = null;

  get members(): readonly string[] {
    return [...this.#members];
  }

  /** Those whose connections somebody waits for. */
  get draining(): readonly string[] {
    return [...this.#waiting].map(({ replica }) => replica);
  }

  /** Starts to count anew from what there is now. */
  watchFewest(): void {
    this.fewest = this.#members.size;
  }

  /** Called after each change of the members. */
  set onChange(callback: () => void) {
    this.#onChange = callback;
  }

  addresses(replica: string): ReplicaAddresses | undefined {
    return this.#addresses.get(replica);
  }

  admit(replica: string, addresses: ReplicaAddresses): void {
    this.#addresses.set(replica, addresses);
    this.#members.add(replica);
    this.#changed(`admit ${replica}`);
  }

  retire(replica: string): void {
    this.#members.delete(replica);
    this.#changed(`retire ${replica}`);
  }

  async drained(replica: string, c: Call): Promise<void> {
    if (this.connections(replica) === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const waiter = { replica, resolve };
    this.#waiting.add(waiter);
    await abortable(promise, c.signal).finally(() => this.#waiting.delete(waiter));
  }

  drop(replica: string): number {
    const cut = this.connections(replica);
    this.#connections.delete(replica);
    this.#addresses.delete(replica);
    this.#members.delete(replica);
    this.#changed(`drop ${replica}`);
    return cut;
  }

  connections(replica: string): number {
    return this.#connections.get(replica) ?? 0;
  }

  connect(replica: string, count: number): void {
    this.#connections.set(replica, count);
    if (count > 0) return;
    for (const waiter of this.#waiting) if (waiter.replica === replica) waiter.resolve();
  }

  #changed(what: string): void {
    this.course.push(what);
    this.fewest = Math.min(this.fewest, this.#members.size);
    this.#onChange?.();
  }
}
