import { abortable, type Call } from "../util/async.ts";
import { Backend } from "./backend-pool.ts";

/** A container behind the proxy, on each port it serves. */
export class Replica {
  readonly backends = new Map<number, Backend>();
  /** Gets new connections. */
  admitted = false;
  readonly #waiting = new Set<() => void>();

  constructor(readonly id: string) {}

  /** Its connections on all ports, attempts under way included. */
  get active(): number {
    let sum = 0;
    for (const backend of this.backends.values()) sum += backend.active;
    return sum;
  }

  backendOn(port: number): Backend {
    const known = this.backends.get(port);
    if (known !== undefined) return known;
    const backend = new Backend(this, port, []);
    this.backends.set(port, backend);
    return backend;
  }

  released(): void {
    if (this.#waiting.size === 0 || this.active > 0) return;
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }

  /** Resolves when it has no connection. */
  async drained(c: Call): Promise<void> {
    if (this.active === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.add(resolve);
    await abortable(promise, c.signal).finally(() => this.#waiting.delete(resolve));
  }
}
