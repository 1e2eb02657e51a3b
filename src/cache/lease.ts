import { messageOf } from "../errors.ts";
import type { Log } from "../log.ts";
import { type Call, withDeadline } from "../util/async.ts";
import type { Clock } from "../util/time.ts";
import type { Cache, Version } from "./cache.ts";
import { decodeLease, type EndedLease, encodeLease, type LeaseOutcome } from "./lease-record.ts";

export type LeaseState =
  | {
      readonly kind: "free";
      readonly version: Version | null;
      /** How the last holder gave it back; null: there was none, or it was done. */
      readonly last: EndedLease | null;
    }
  | {
      readonly kind: "held";
      readonly version: Version;
      /** Of this holding: two of one holder's have two. */
      readonly id: string;
      readonly owner: string;
      /** Not renewed for its whole length, by this host's own clock: it may be taken over. */
      readonly dead: boolean;
    };

export interface LeaseOptions {
  readonly key: string;
  /** This host, for others to read. */
  readonly owner: string;
  /** Who does not renew it for so long is dead; it is renewed three times as often. */
  readonly ttlMs: number;
}

export interface LeaseDeps {
  readonly clock: Clock;
  readonly log: Log;
}

/** Renewed by itself until it ends. Disposed of without an end, its work has failed. */
export interface Lease extends AsyncDisposable {
  /** How the holder before gave it back; null: it did not. */
  readonly last: EndedLease | null;
  end(outcome: LeaseOutcome): Promise<void>;
}

const stepDeadlineMs = 8000;

/**
 * One host's view of a lease: an entry of a cache that one host at a time holds, by compare-and-swap. It advises, it
 * does not protect: a holder that was cut off may still be at work when another takes over.
 */
export class LeaseWatch {
  #seen: { readonly version: Version; readonly sinceMs: number } | null = null;

  constructor(
    private readonly cache: Cache,
    private readonly options: LeaseOptions,
    private readonly deps: LeaseDeps,
  ) {}

  async look(c: Call): Promise<LeaseState> {
    const stored = await this.cache.get(this.options.key, withDeadline(c, stepDeadlineMs));
    const nowMs = this.deps.clock.monotonicMs();
    if (stored === null) return { kind: "free", version: null, last: null };
    const { version } = stored;
    if (this.#seen?.version !== version) this.#seen = { version, sinceMs: nowMs };
    const record = decodeLease(stored.body);
    if (record === null) return { kind: "free", version, last: null };
    if ("outcome" in record) return { kind: "free", version, last: record };
    const dead = nowMs - this.#seen.sinceMs >= record.ttlMs;
    return { kind: "held", version, id: record.id, owner: record.owner, dead };
  }

  /** null: somebody else was first. */
  async take(state: LeaseState, c: Call): Promise<Lease | null> {
    const { key, owner, ttlMs } = this.options;
    const id = crypto.randomUUID();
    const body = encodeLease({ id, owner, ttlMs, renewals: 0 });
    const version = await this.cache.compareAndSwap(
      key,
      body,
      state.version,
      withDeadline(c, stepDeadlineMs),
    );
    if (version === null) return null;
    const last = state.kind === "free" ? state.last : null;
    return new HeldLease(this.cache, this.options, this.deps, { id, last, version });
  }
}

class HeldLease implements Lease {
  readonly last: EndedLease | null;
  readonly #id: string;
  readonly #ended = new AbortController();
  readonly #renewing: Promise<void>;
  /** null: it was lost, or has ended. */
  #version: Version | null;

  constructor(
    private readonly cache: Cache,
    private readonly options: LeaseOptions,
    private readonly deps: LeaseDeps,
    held: { readonly id: string; readonly last: EndedLease | null; readonly version: Version },
  ) {
    this.last = held.last;
    this.#id = held.id;
    this.#version = held.version;
    this.#renewing = this.#keepRenewing();
  }

  async end(outcome: LeaseOutcome): Promise<void> {
    this.#ended.abort();
    await this.#renewing;
    const version = this.#version;
    this.#version = null;
    if (version === null) return;
    const { key, owner } = this.options;
    const c = { signal: AbortSignal.timeout(stepDeadlineMs) };
    try {
      if (outcome === "done") await this.cache.delete(key, c);
      else await this.cache.compareAndSwap(key, encodeLease({ id: this.#id, owner, outcome }), version, c);
    } catch (error) {
      // It dies by itself.
      this.deps.log.debug("Lease not given back", { lease: key, error: messageOf(error) });
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.end("failed");
  }

  async #keepRenewing(): Promise<void> {
    const { clock, log } = this.deps;
    const { key, ttlMs } = this.options;
    for (let renewals = 1; this.#version !== null; renewals++) {
      try {
        await clock.sleep(ttlMs / 3, this.#ended.signal);
        await this.#renew(renewals);
      } catch (error) {
        if (this.#ended.signal.aborted) return;
        log.debug("Lease not renewed", { lease: key, error: messageOf(error) });
      }
    }
  }

  async #renew(renewals: number): Promise<void> {
    const { key, owner, ttlMs } = this.options;
    const body = encodeLease({ id: this.#id, owner, ttlMs, renewals });
    const c = { signal: AbortSignal.timeout(stepDeadlineMs) };
    this.#version =
      (await this.cache.compareAndSwap(key, body, this.#version, c)) ?? (await this.#stillMine(c));
  }

  /** A swap that was said to have failed may have been done all the same. */
  async #stillMine(c: Call): Promise<Version | null> {
    const stored = await this.cache.get(this.options.key, c);
    const record = stored === null ? null : decodeLease(stored.body);
    return stored !== null && record?.id === this.#id ? stored.version : null;
  }
}
