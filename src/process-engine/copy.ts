import { constants } from "node:os";
import { DewyError } from "../errors.ts";
import {
  describeExit,
  type Exit,
  type ProcessTarget,
  processIsAlive,
  stopProcess,
} from "../process/process.ts";
import type { Instance } from "../replicas/engine.ts";
import type { Call } from "../util/async.ts";
import { environment, processGroup } from "../util/procfs.ts";
import type { Clock } from "../util/time.ts";
import { holderOf, loopbacksOf, replicaVariable, type Sockets } from "./listening.ts";
import type { CopyIdentity, RecordedProcess } from "./record.ts";

/** A process that was started. */
export interface Run extends ProcessTarget {
  readonly startedAt: Date;
  readonly exited: Promise<Exit>;
}

type State =
  | { readonly kind: "created" }
  | { readonly kind: "running"; readonly run: Run }
  | { readonly kind: "ended"; readonly run: Run; readonly exit: Exit };

/** One copy of the app: a process with its group, at ports of its own. */
export class Copy {
  #state: State = { kind: "created" };
  #isStopping = false;

  constructor(readonly identity: CopyIdentity) {}

  get run(): Run | null {
    return this.#state.kind === "running" ? this.#state.run : null;
  }

  get record(): RecordedProcess {
    const { run } = this;
    const [pid, startTicks] = [run?.pid ?? null, run?.startTicks ?? null];
    return { ...this.identity, pid, startTicks, stopping: this.#isStopping };
  }

  started(run: Run): void {
    this.#state = { kind: "running", run };
  }

  ended(exit: Exit): void {
    if (this.#state.kind === "running") this.#state = { kind: "ended", run: this.#state.run, exit };
  }

  /** Whoever dies before it is stopped, the next agent must not take its end for a crash. */
  beginStop(): void {
    this.#isStopping = true;
  }

  /** Whether SIGKILL was needed. What it left in its group goes with it. */
  async stop(graceMs: number, clock: Clock, c: Call): Promise<boolean> {
    const state = this.#state;
    if (state.kind === "created" || !this.#isThere(state.run)) return false;
    const { killed } = await stopProcess(state.run, graceMs, clock, c);
    // Whoever asks next must hear that it has ended; an adopted one's end is found out by looking.
    await Promise.race([state.run.exited, clock.sleep(1000, new AbortController().signal)]);
    return killed;
  }

  /** Its numbers may have been given to somebody else since: only what bears its mark is its own. */
  #isThere({ pid, startTicks }: Run): boolean {
    if (processIsAlive(pid, startTicks)) return true;
    return processGroup(pid).some((member) => environment(member).get(replicaVariable) === this.identity.id);
  }

  /** Somebody took one of its ports before it could: that is no fault of the release, and another port will do. */
  checkPorts(sockets: Sockets): void {
    const { id, ports } = this.identity;
    const pid = this.run?.pid ?? 0;
    const taken = ports.find(({ hostPort }) => holderOf(hostPort, { id, pid }, sockets) === "others");
    if (taken === undefined) return;
    throw new DewyError("engine-failed", `port ${taken.hostPort}: address already in use`, {
      hint: "see who listens there: ss -ltnp",
    });
  }

  toInstance(sockets: Sockets): Instance {
    const { id, name, release, labels, ports, createdAt } = this.identity;
    const state = this.#state;
    const run = state.kind === "created" ? null : state.run;
    const exit = state.kind === "ended" ? state.exit : null;
    return {
      id,
      name,
      image: release,
      imageId: release,
      status: statusOf[state.kind],
      health: "none",
      pid: this.run?.pid ?? null,
      exitCode: exit === null ? null : exitCodeOf(exit),
      oomKilled: false,
      error: exit?.signal === null || exit === null ? "" : describeExit(exit),
      createdAt: new Date(createdAt),
      startedAt: run?.startedAt ?? null,
      restartCount: 0,
      labels,
      ports: ports.flatMap(({ appPort, hostPort }) => {
        const hosts = state.kind === "running" ? loopbacksOf(hostPort, sockets) : ["127.0.0.1"];
        return hosts.map((hostIp) => ({ appPort, hostIp, hostPort }));
      }),
      addresses: [],
    };
  }
}

const statusOf = { created: "created", running: "running", ended: "exited" } as const;

/** As shells and container engines count: 128 and the signal's number. */
function exitCodeOf({ code, signal }: Exit): number | null {
  if (signal === null) return code;
  const numbers: Readonly<Record<string, number>> = constants.signals;
  return 128 + (numbers[signal] ?? 0);
}
