import { acceptedInodes } from "../health/accepted.ts";
import type { Unused } from "../health/dial.ts";
import { hindranceTo } from "../health/hindrance.ts";
import { checkHttp } from "../health/http.ts";
import type { Probed } from "../health/policy.ts";
import type { Address } from "../util/address.ts";
import type { Call } from "../util/async.ts";
import type { Clock } from "../util/time.ts";
import { ownerOf } from "./accept-owner.ts";

/**
 * What one try to ask a certain generation came to: `asked`: it took the connection, or this host could make none; `other`: another one did;
 * `untaken`: none did; `untold`: who did can't be found out.
 */
export type OwnProbe =
  | { readonly kind: "asked"; readonly probed: Probed }
  | { readonly kind: "other" | "untaken" | "untold" };

export interface OwnTarget {
  readonly address: Address;
  readonly path: string;
  /** The leader of the generation that is to answer. */
  readonly pid: number;
  /** Those that have the same listener. */
  readonly others: readonly number[];
}

/** How long a connection waits to be taken. */
const seatMs = 1000;
/** From then on a server that accepts only what has data (TCP_DEFER_ACCEPT) gets some. */
const nudgeMs = 250;
const pausesMs = { first: 3, last: 40 } as const;

/**
 * Asks one generation among several that share a listener. It connects `width` times at once and waits until each
 * connection is accepted. The request goes over the first one that the generation holds; all others are closed unused,
 * those of another generation at once.
 */
export async function askOwn(
  target: OwnTarget,
  width: number,
  limitMs: number,
  clock: Clock,
  c: Call,
): Promise<OwnProbe> {
  const round = new Round(target, limitMs, clock, c);
  const results = await Promise.all(Array.from({ length: width }, () => round.try()));
  const isAsked = (result: OwnProbe) => result.kind === "asked" && result.probed.unasked !== true;
  const telling = (["asked", "untold", "other"] as const).map((kind) =>
    results.find((result) => result.kind === kind),
  );
  return results.find(isAsked) ?? telling.find((result) => result !== undefined) ?? { kind: "untaken" };
}

type Taker = Exclude<OwnProbe["kind"], "asked"> | "own";

/** What became of one try. */
interface Seat {
  taker: Taker;
  isClosed: boolean;
  /** What this host lacked to find out who took it. */
  lack: string | null;
}

/** A connection that is open, and waits to be taken. */
interface Waiting {
  readonly connection: Unused;
  readonly sinceMs: number;
  /** The kernel has shown it. */
  isKnown: boolean;
  readonly settle: (taker: Taker) => void;
}

/** Connections made at once, of which one is to be used. */
class Round {
  readonly #waiting = new Set<Waiting>();
  #isLooking = false;
  #isFound = false;

  constructor(
    private readonly target: OwnTarget,
    private readonly limitMs: number,
    private readonly clock: Clock,
    private readonly c: Call,
  ) {}

  async try(): Promise<OwnProbe> {
    const { address, path } = this.target;
    const seat: Seat = { taker: "untaken", isClosed: false, lack: null };
    const admit = async (connection: Unused): Promise<boolean> => {
      const taker = await this.#takerOf(connection);
      // Who has no descriptor left to look with finds nobody.
      if (taker !== "own") seat.lack = hindranceTo(null);
      // Closed by the server meanwhile, or another one of this round has come first.
      if (seat.isClosed || this.#isFound) return false;
      seat.taker = taker;
      if (taker === "own") this.#isFound = true;
      return taker === "own";
    };
    const probed = await checkHttp(address, { path, greeting: "", admit }, this.limitMs, this.c);
    seat.isClosed = true;
    if (seat.taker === "own" || probed.unasked === true) return { kind: "asked", probed };
    if (seat.lack !== null) return { kind: "asked", probed: { ...probed, seen: seat.lack, unasked: true } };
    return { kind: seat.taker };
  }

  #takerOf(connection: Unused): Promise<Taker> {
    if (this.#isFound) return Promise.resolve("untaken");
    const { promise, resolve } = Promise.withResolvers<Taker>();
    const sinceMs = this.clock.monotonicMs();
    this.#waiting.add({ connection, sinceMs, isKnown: false, settle: resolve });
    if (!this.#isLooking) void this.#look();
    return promise;
  }

  /** One look serves all that wait. */
  async #look(): Promise<void> {
    const { clock, c } = this;
    this.#isLooking = true;
    for (let pauseMs: number = pausesMs.first; this.#waiting.size > 0; ) {
      const sinceMs = clock.monotonicMs();
      const looked = [...this.#waiting];
      const links = looked.map(({ connection }) => ({
        server: this.target.address,
        caller: connection.local,
      }));
      const inodes = await acceptedInodes(links);
      for (const [at, one] of looked.entries()) {
        if (!this.#waiting.has(one)) continue;
        const taker = inodes === null ? "untold" : this.#judge(one, inodes[at] ?? null);
        if (taker !== null) this.#settle(one, taker);
        // Its asking begins; the others are not needed any more.
        if (taker === "own") this.#releaseAll();
      }
      const costMs = clock.monotonicMs() - sinceMs;
      if (this.#waiting.size === 0) break;
      await clock.sleep(Math.max(pauseMs, 2 * costMs), c.signal).catch(() => this.#releaseAll());
      pauseMs = Math.min(pauseMs * 2, pausesMs.last);
    }
    this.#isLooking = false;
  }

  #releaseAll(): void {
    for (const one of this.#waiting) this.#settle(one, "untaken");
  }

  #settle(one: Waiting, taker: Taker): void {
    this.#waiting.delete(one);
    one.settle(taker);
  }

  /** null: it is to be looked at again. */
  #judge(one: Waiting, inode: number | null): Taker | null {
    const { pid, others } = this.target;
    one.isKnown ||= inode !== null;
    const owner = inode === null || inode === 0 ? null : ownerOf(inode, pid, others);
    if (owner !== null && owner !== "nobody") return owner;
    const waitedMs = this.clock.monotonicMs() - one.sinceMs;
    if (waitedMs >= Math.min(seatMs, this.limitMs)) {
      if (!one.isKnown) return "untold";
      return owner === "nobody" ? "other" : "untaken";
    }
    if (waitedMs >= nudgeMs) one.connection.nudge();
    return null;
  }
}
