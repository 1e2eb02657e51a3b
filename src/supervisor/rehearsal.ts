import { DewyError, messageOf } from "../errors.ts";
import { duration, type Log } from "../log.ts";
import type { Call } from "../util/async.ts";
import type { Clock } from "../util/time.ts";
import type { User } from "../util/user.ts";
import type { Subject } from "./checker.ts";
import { whileServing } from "./end-with.ts";
import type { Generation } from "./generation.ts";
import type { Generations } from "./generations.ts";
import type { ListenSpec } from "./listen-spec.ts";
import { PrivateSockets } from "./private-sockets.ts";
import type { Prover } from "./prove.ts";

interface RehearsalDeps {
  readonly generations: Generations;
  readonly prover: Prover;
  /** What its health command finds. */
  readonly environment: (release: string) => ReturnType<Subject["environment"]>;
  readonly clock: Clock;
  readonly log: Log;
}

/** Has a release prove itself where no client reaches it, before it gets the real sockets. */
export class Rehearsal {
  constructor(
    private readonly options: {
      readonly listen: readonly ListenSpec[];
      readonly tmpDir: string;
      readonly user: User | null;
    },
    private readonly deps: RehearsalDeps,
  ) {}

  /**
   * Starts the release on private sockets, waits until it has proved itself, and stops it. Fails as a real start would,
   * and with `serving-ended` when what serves meanwhile ends: it is to be started again at once.
   */
  async run(release: string, serving: Generation | null, c: Call): Promise<void> {
    const { clock } = this.deps;
    const rehearse = (call: Call) => this.#rehearse(release, call);
    if (serving === null) await rehearse(c);
    else await whileServing(serving, "while the new version was rehearsed", rehearse, clock, c);
  }

  async #rehearse(release: string, c: Call): Promise<void> {
    const { generations, prover, clock, log } = this.deps;
    const environment = () => this.deps.environment(release);
    const sinceMs = clock.monotonicMs();
    using sockets = await PrivateSockets.open(this.options.listen, this.options);
    const rehearsed = generations.startPrivately(release, sockets.inherited);
    log.info("Rehearsal started", { release, pid: rehearsed.pid });
    const { endpoint } = sockets;
    const { pid, startedMs } = rehearsed;
    try {
      await prover.prove(rehearsed, { pid, startedMs, endpoint, others: () => [], environment }, c);
    } catch (error) {
      if (!(error instanceof DewyError) || error.blame !== "release") throw error;
      throw new DewyError(error.code, `in its rehearsal ${messageOf(error)}`, {
        cause: error,
        hint: error.hint,
      });
    } finally {
      await generations.stop(rehearsed);
    }
    log.info("Rehearsal passed", { release, duration: duration(clock.monotonicMs() - sinceMs) });
  }
}
