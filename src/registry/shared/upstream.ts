import { DewyError, toDewyError } from "../../errors.ts";
import type { Call } from "../../util/async.ts";
import type { Clock } from "../../util/time.ts";
import type { Latest, Registry } from "../registry.ts";
import { within } from "./deadline.ts";
import { brokenRule } from "./entry.ts";
import { isHostsOwn, type SharedFailure, sharedFailure } from "./failure.ts";
import { registryIn } from "./scope.ts";

/** One try at the registry. Times are of the monotonic clock. */
export type Asked =
  | { readonly kind: "answered"; readonly atMs: number; readonly latest: Latest }
  | {
      readonly kind: "failed";
      readonly atMs: number;
      readonly failure: SharedFailure;
      readonly error: unknown;
    };

/** Less than the five minutes of a check, so that a failure is still told to the fleet. */
export const askDeadlineMs = 270_000;

const maxOwnRestMs = 5 * 60_000;

/** The registry itself, as far as this host asked it. */
export class Upstream {
  /** null: never. */
  lastAsked: Asked | null = null;
  lastAnswer: (Asked & { kind: "answered" }) | null = null;
  /** In a row, of this host's credentials. */
  #refusals = 0;

  constructor(
    private readonly registry: Registry,
    private readonly about: { readonly scope: string; readonly owner: string; readonly clock: Clock },
  ) {}

  /** Whether this host's credentials were not refused just now: others ask then, and it asks again later and later. */
  mayAsk(): boolean {
    const asked = this.lastAsked;
    if (asked?.kind !== "failed" || !isHostsOwn(asked.failure)) return true;
    const named = asked.error instanceof DewyError ? (asked.error.retryAfterMs ?? 0) : 0;
    const restMs = Math.max(named, Math.min(maxOwnRestMs, 1000 * 2 ** this.#refusals));
    return this.about.clock.monotonicMs() - asked.atMs >= restMs;
  }

  /** `failures`: so many tries in a row failed before this one. Rejects only when `c` aborts. */
  async ask(failures: number, c: Call): Promise<Asked> {
    const { clock, scope, owner } = this.about;
    const doing = `ask ${registryIn(scope)}`;
    try {
      const limit = { ms: askDeadlineMs, doing, clock };
      const latest = await within(limit, (call) => this.registry.latest(call), c);
      this.#check(latest, doing);
      this.#refusals = 0;
      this.lastAnswer = { kind: "answered", atMs: clock.monotonicMs(), latest };
      this.lastAsked = this.lastAnswer;
    } catch (error) {
      c.signal.throwIfAborted();
      const about = { at: clock.now(), by: owner, failures: failures + 1 };
      const failure = sharedFailure(toDewyError(error, doing), about);
      this.#refusals = isHostsOwn(failure) ? this.#refusals + 1 : 0;
      this.lastAsked = { kind: "failed", atMs: clock.monotonicMs(), failure, error };
    }
    return this.lastAsked;
  }

  /** What the others would not take from the cache is a failure for this host too: they must not ask over and over. */
  #check(latest: Latest, doing: string): void {
    const rule = brokenRule(latest, this.about.scope);
    if (rule === null) return;
    throw new DewyError("bad-answer", `${doing}: the answer can't be shared: ${rule}`, {
      hint: "publish it under another name, or leave out registry-ttl=",
    });
  }
}
