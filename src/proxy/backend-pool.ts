import type { Address } from "../util/address.ts";
import type { Replica } from "./replica.ts";

const firstCoolDownMs = 500;
const longestCoolDownMs = 30_000;

/** One address of a backend, and whether it answered lately. */
export class Target {
  #failures = 0;
  #coolUntilMs = 0;

  constructor(
    readonly backend: Backend,
    readonly address: Address,
  ) {}

  /** Not among those to leave alone for a moment. */
  isWarm(nowMs: number): boolean {
    return nowMs >= this.#coolUntilMs;
  }

  /** Chosen for a connection. After failures one connection at a time finds out whether it is well again. */
  take(nowMs: number): this {
    if (this.#failures > 0) this.#coolUntilMs = nowMs + this.#coolDownMs();
    return this;
  }

  succeeded(): void {
    this.#failures = 0;
    this.#coolUntilMs = 0;
  }

  failed(nowMs: number): void {
    this.#failures += 1;
    this.#coolUntilMs = nowMs + this.#coolDownMs();
    this.backend.failures += 1;
  }

  #coolDownMs(): number {
    return Math.min(longestCoolDownMs, firstCoolDownMs * 2 ** (this.#failures - 1));
  }
}

/** A replica on one proxied port. */
export class Backend {
  targets: readonly Target[] = [];
  active = 0;
  total = 0;
  failures = 0;

  constructor(
    readonly replica: Replica,
    readonly port: number,
    addresses: readonly Address[],
  ) {
    this.moveTo(addresses);
  }

  /** New connections go there; those that are open stay where they are. */
  moveTo(addresses: readonly Address[]): void {
    this.targets = addresses.map((address) => new Target(this, address));
  }

  take(): void {
    this.active += 1;
    this.total += 1;
  }

  release(): void {
    this.active -= 1;
    this.replica.released();
  }

  isAt(addresses: readonly Address[]): boolean {
    return (
      addresses.length === this.targets.length &&
      this.targets.every(({ address }, index) => {
        const other = addresses[index];
        return address.host === other?.host && address.port === other.port;
      })
    );
  }
}

/**
 * The backends of one proxied port, in turn. An address that failed is passed over for a moment (0.5 s, doubled with
 * each further failure, 30 s at most) unless nothing else is left.
 */
export class BackendPool {
  #members: readonly Backend[] = [];
  #cursor = 0;

  get members(): readonly Backend[] {
    return this.#members;
  }

  add(backend: Backend): void {
    if (!this.#members.includes(backend)) this.#members = [...this.#members, backend];
  }

  remove(backend: Backend): void {
    const index = this.#members.indexOf(backend);
    if (index < 0) return;
    this.#members = this.#members.filter((member) => member !== backend);
    // The turn stays with whoever had it.
    if (index < this.#cursor) this.#cursor -= 1;
  }

  /** For a new connection; null: there are no backends. */
  next(nowMs: number): Target | null {
    const count = this.#members.length;
    for (let step = 0; step < count; step++) {
      const index = (this.#cursor + step) % count;
      for (const target of this.#members[index]?.targets ?? []) {
        if (!target.isWarm(nowMs)) continue;
        this.#cursor = index + 1;
        return target.take(nowMs);
      }
    }
    const last = this.#members[this.#cursor % Math.max(count, 1)]?.targets[0];
    this.#cursor = (this.#cursor % Math.max(count, 1)) + 1;
    return last?.take(nowMs) ?? null;
  }

  /** For a connection whose attempts failed: another address of the same backend, then the others; null: none left. */
  retry(tried: readonly Target[], nowMs: number): Target | null {
    const backend = tried.at(-1)?.backend;
    const start = this.#cursor % Math.max(this.#members.length, 1);
    const others = [...this.#members.slice(start), ...this.#members.slice(0, start)];
    const order = others.sort((a, b) => Number(b === backend) - Number(a === backend));
    const left = order.flatMap(({ targets }) => targets).filter((target) => !tried.includes(target));
    return (left.find((target) => target.isWarm(nowMs)) ?? left[0])?.take(nowMs) ?? null;
  }
}
