import { DewyError } from "../errors.ts";
import { describeExit } from "../process/process.ts";
import type { Call } from "../util/async.ts";
import type { Clock } from "../util/time.ts";
import type { Subject } from "./checker.ts";
import type { Gate, Verdict } from "./gate.ts";
import type { Generation } from "./generation.ts";

/** What a generation must show before another one goes for it: that it stays up, and that it is well. */
export class Prover {
  constructor(
    private readonly minUptimeMs: number,
    private readonly gate: Gate | null,
    private readonly clock: Clock,
  ) {}

  /** Fails with `start-failed` if the generation ends before, as Gate if it does not get well in time. */
  async prove(next: Generation, subject: Subject, c: Call): Promise<Verdict> {
    const proven = new AbortController();
    const call = { signal: AbortSignal.any([c.signal, proven.signal]) };
    const isWell = this.gate?.pass(subject, { sinceMs: next.startedMs, proof: true }, call);
    const waits = Promise.all([isWell ?? ("well" as const), this.clock.sleep(this.minUptimeMs, call.signal)]);
    const verdict = waits.then(([told]) => ({ told }));
    const exit = next.exited.then((how) => ({ how }));
    try {
      const first = await Promise.race([exit, verdict]);
      if ("told" in first) return first.told;
      const when = this.gate === null ? "right after its start" : "before it had proved itself";
      throw new DewyError("start-failed", `the new server ${describeExit(first.how)} ${when}`, {
        hint: "see the app's own output; an app that opens its port itself, rather than take it over, needs --proxy",
      });
    } finally {
      verdict.catch(() => undefined);
      isWell?.catch(() => undefined);
      proven.abort();
    }
  }

  /**
   * An app that was only just started may not have opened all its files yet, and finds them through `current`: it
   * is left alone until it has been up for `minUptimeMs`, or has ended.
   */
  async settle(current: Generation, c: Call): Promise<void> {
    const youngMs = current.startedMs + this.minUptimeMs - this.clock.monotonicMs();
    if (youngMs <= 0) return;
    const settled = new AbortController();
    const { signal } = settled;
    const old = this.clock.sleep(youngMs, AbortSignal.any([c.signal, signal])).then(() => undefined);
    await Promise.race([old, current.exited]).finally(() => {
      old.catch(() => undefined);
      settled.abort();
    });
  }
}
