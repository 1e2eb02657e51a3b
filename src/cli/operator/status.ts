import { strandedOf } from "../../agent/back/stranded.ts";
import { isLocked, lockHolder } from "../../agent/lock.ts";
import type { AgentView } from "../../agent/orders/operations.ts";
import type { State } from "../../agent/state.ts";
import { ask } from "../../control/client.ts";
import { DewyError, messageOf } from "../../errors.ts";
import { RecordFile } from "../../supervisor/record.ts";
import type { Call } from "../../util/async.ts";
import type { Layout } from "../run/layout.ts";
import { recordedState } from "./recorded-state.ts";
import { type LiveReplicas, readReplicas } from "./status-replicas.ts";

/**
 * `well`: an agent runs and its app does not lie down; `down`: the app does; `silent`: the agent runs and does not
 * answer; `no-agent`: none runs.
 */
export type Health = "well" | "down" | "silent" | "no-agent";

/**
 * What `dewy status` knows; `--json` prints it as it is. Fields stay; new ones may come. Times are ISO 8601.
 * What only a running agent knows is null where none answers.
 */
export interface Status extends LiveReplicas {
  readonly root: string;
  readonly health: Health;
  /** Who holds the directory; null: no agent runs. */
  readonly agent: string | null;
  /** Why the running agent did not answer; null: it did, or none runs. */
  readonly problem: string | null;
  readonly command: AgentView["command"] | null;
  /** Of the agent. */
  readonly version: string | null;
  readonly startedAt: string | null;
  readonly app: AgentView["app"] | null;
  readonly current: State["current"];
  readonly previous: State["previous"];
  readonly lastPoll: AgentView["lastPoll"];
  readonly nextPollAt: string | null;
  readonly busy: AgentView["busy"];
  readonly hold: AgentView["hold"];
  readonly waiting: AgentView["waiting"];
  readonly soakUntil: string | null;
  readonly stranded: AgentView["stranded"];
  readonly quarantine: AgentView["quarantine"];
  readonly failure: AgentView["failure"];
  readonly lastError: AgentView["lastError"];
  readonly notifiers: AgentView["notifiers"];
  readonly processes: readonly {
    readonly pid: number | null;
    readonly generation: number;
    readonly release: string | null;
  }[];
}

/** Looks at the disk where no agent answers; one that hangs is part of the answer. Rejects when `c` aborts. */
export async function readStatus(layout: Layout, c: Call): Promise<Status> {
  const running = isLocked(layout.lock);
  const agent = running ? lockHolder(layout.lock) : null;
  const { view, problem } = running ? await askView(layout, c) : { view: null, problem: null };
  const record = running ? new RecordFile(layout.supervisor).read() : null;
  const recorded = view ?? recordedView(layout);
  return {
    root: layout.root,
    health: healthOf(running, view),
    agent,
    problem,
    command: view?.command ?? null,
    version: view?.version ?? null,
    startedAt: view?.startedAt ?? null,
    app: view?.app ?? null,
    lastPoll: view?.lastPoll ?? null,
    nextPollAt: view?.nextPollAt ?? null,
    busy: view?.busy ?? null,
    waiting: view?.waiting ?? null,
    lastError: view?.lastError ?? null,
    notifiers: view?.notifiers ?? [],
    ...recorded,
    processes: (record?.generations ?? []).map(({ pid, number, release }) => ({
      pid,
      generation: number,
      release,
    })),
    ...(await readReplicas(layout, agent, c)),
  };
}

export function exitCodeOf(health: Health): number {
  return health === "well" ? 0 : 4;
}

function healthOf(running: boolean, view: AgentView | null): Health {
  if (!running) return "no-agent";
  if (view === null) return "silent";
  return view.app.kind === "down" ? "down" : "well";
}

async function askView(
  { root }: Layout,
  c: Call,
): Promise<{ view: AgentView | null; problem: string | null }> {
  try {
    return { view: await ask(root, { kind: "view" }, { patienceMs: 5_000 }, c), problem: null };
  } catch (error) {
    c.signal.throwIfAborted();
    const isMute = error instanceof DewyError && error.code === "no-agent";
    return { view: null, problem: isMute ? "it has no control socket; its log says why" : messageOf(error) };
  }
}

/** What a view and the state on disk both tell. */
function recordedView(layout: Layout) {
  const state = recordedState(layout.state);
  return {
    current: state?.current ?? null,
    previous: state?.previous ?? null,
    hold: state?.hold ?? null,
    soakUntil: state?.soak?.until ?? null,
    stranded: state === null ? null : strandedOf(state),
    quarantine: state?.quarantine ?? [],
    failure: state?.failure ?? null,
  } satisfies Partial<AgentView>;
}
