import { DewyError } from "../errors.ts";
import type { Call } from "../util/async.ts";
import type { Clock } from "../util/time.ts";
import type { Members } from "./members.ts";
import { conditionOf } from "./reconcile.ts";
import { describeEnd, type Replica } from "./replica.ts";
import type { ReplicaWords } from "./words.ts";

interface OutageDeps {
  readonly members: Members;
  readonly engine: { readonly words: ReplicaWords };
  /** How long one that the engine itself restarts may be away. */
  readonly restartMs: number;
  readonly clock: Pick<Clock, "monotonicMs">;
}

/** Sees to it that clients are not left waiting where something can be done for them. */
export class OutageGuard {
  constructor(private readonly deps: OutageDeps) {}

  /**
   * Does `work` as long as somebody serves: when the last one that did ends, and no new one has come, it is broken off,
   * as clients wait and what ran is made good only once the work is over. Where nobody serves to begin with, `work` may
   * be what brings the service back, and goes on.
   */
  async run<T>(work: (c: Call) => Promise<T>, c: Call): Promise<T> {
    const { members, engine } = this.deps;
    if (this.isOutage) return await work(c);
    const over = new AbortController();
    using _watch = members.watch(() => {
      if (this.isOutage) over.abort(noneLeft(members.inUse, engine.words));
    });
    return await work({ signal: AbortSignal.any([c.signal, over.signal]) });
  }

  /** Nobody serves, nor is about to again. */
  get isOutage(): boolean {
    const { members, restartMs, clock } = this.deps;
    const nowMs = clock.monotonicMs();
    return members.inUse.every((replica) => conditionOf(replica, restartMs, nowMs) === "lost");
  }
}

/** No fault of the new version's, as far as anybody can tell; `itself`: what was wrong with it, too. */
export function noneLeft(
  replicas: readonly Replica[],
  { noun }: ReplicaWords,
  itself?: DewyError,
): DewyError {
  const lost = replicas.filter(({ isRunning }) => !isRunning);
  const ends = lost.map(({ name, instance }) => `${name} ${describeEnd(instance)}`);
  const also = itself === undefined ? "" : `, and the new version failed: ${itself.message}`;
  return new DewyError(
    "serving-ended",
    `no ${noun} that serves was left while the new version was checked: ${ends.join(", ")}${also}`,
    { hint: "the old version is started again, and the new one is tried again later", cause: itself },
  );
}
