import { messageOf } from "../errors.ts";
import type { Log } from "../log.ts";
import type { Call } from "../util/async.ts";
import type { Clock } from "../util/time.ts";
import { engineBackOff, type LossHistory, nextLoss, noLosses } from "./back-off.ts";
import type { Instance } from "./engine.ts";
import type { EngineLink } from "./engine-link.ts";
import type { Members } from "./members.ts";
import { Wake } from "./wake.ts";

interface WatcherDeps {
  readonly engine: EngineLink;
  readonly members: Members;
  readonly intervalMs: number;
  readonly clock: Clock;
  readonly log: Log;
  /** What the engine listed; answers after how long to look again at the latest. */
  readonly onListed: (instances: readonly Instance[]) => number;
}

/** Keeps what is known of the copies up to date: at each of the engine's events, and at intervals. */
export class Watcher {
  readonly #wake: Wake;

  constructor(private readonly deps: WatcherDeps) {
    this.#wake = new Wake(deps.clock);
  }

  /** Look again now. */
  wake(): void {
    this.#wake.call();
  }

  /** Until `c` aborts. While the engine is away nothing changes: replicas, and the rotation, stay as they are. */
  async run(c: Call): Promise<void> {
    await Promise.all([this.#look(c), this.#listen(c)]);
  }

  async #look(c: Call): Promise<void> {
    const { engine, members, intervalMs, clock, onListed } = this.deps;
    let failures = noLosses;
    for (;;) {
      let pauseMs = intervalMs;
      try {
        const listed = await engine.list(c);
        members.observe(listed.instances, listed.askedMs, listed.info);
        failures = noLosses;
        pauseMs = Math.min(intervalMs, onListed(listed.instances));
      } catch {
        // The link has said so; its reason is in the status.
        c.signal.throwIfAborted();
        const next = nextLoss(failures, clock.monotonicMs(), engineBackOff);
        failures = next.history;
        pauseMs = next.delayMs;
      }
      await this.#wake.wait(pauseMs, c);
    }
  }

  async #listen(c: Call): Promise<void> {
    const { engine, clock, log } = this.deps;
    let failures: LossHistory = noLosses;
    for (;;) {
      const sinceMs = clock.monotonicMs();
      try {
        await engine.watch(() => this.wake(), c);
      } catch (error) {
        c.signal.throwIfAborted();
        log.debug("Engine events interrupted", { error: messageOf(error) });
      }
      c.signal.throwIfAborted();
      const nowMs = clock.monotonicMs();
      if (nowMs - sinceMs > engineBackOff.maxMs) failures = noLosses;
      const next = nextLoss(failures, nowMs, engineBackOff);
      failures = next.history;
      await clock.sleep(next.delayMs, c.signal);
      // What happened in between was not told.
      this.wake();
    }
  }
}
