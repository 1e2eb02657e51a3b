import { toDewyError } from "../../errors.ts";
import type { Call } from "../../util/async.ts";
import type { Clock } from "../../util/time.ts";
import type { Latest, Registry } from "../registry.ts";
import { within } from "./deadline.ts";
import { type SharedFailure, sharedFailure } from "./failure.ts";

/** One try at the registry. Times are of the monotonic clock. */
export type Asked =
  | { readonly kind: "answered"; readonly atMs: number; readonly latest: Latest }
  | {
      readonly kind: "failed";
      readonly atMs: number;
      readonly failure: SharedFailure;
      readonly error: unknown;
    };

/** The registry itself, as far as this host asked it. */
export class Upstream {
  /** null: never. */
  lastAsked: Asked | null = null;
  lastAnswer: (Asked & { kind: "answered" }) | null = null;

  constructor(
    private readonly registry: Registry,
    private readonly about: { readonly name: string; readonly owner: string; readonly clock: Clock },
  ) {}

  /** Rejects only when `c` aborts. */
  async ask(ms: number, c: Call): Promise<Asked> {
    const { clock, name, owner } = this.about;
    const doing = `ask ${name}`;
    try {
      const latest = await within({ ms, doing, clock }, (call) => this.registry.latest(call), c);
      this.lastAnswer = { kind: "answered", atMs: clock.monotonicMs(), latest };
      this.lastAsked = this.lastAnswer;
    } catch (error) {
      c.signal.throwIfAborted();
      const failure = sharedFailure(toDewyError(error, doing), clock.now(), owner);
      this.lastAsked = { kind: "failed", atMs: clock.monotonicMs(), failure, error };
    }
    return this.lastAsked;
  }
}
