import { realpathSync } from "node:fs";
import { type AgentReport, askAgent } from "../../admin/client.ts";
import type { WireContainer } from "../../admin/protocol.ts";
import { readAdminRecord } from "../../admin/record.ts";
import { DewyError, messageOf } from "../../errors.ts";
import type { Call } from "../../util/async.ts";
import type { Layout } from "../run/layout.ts";

interface ReplicaCount {
  readonly wanted: number;
  /** While they are replaced, the new ones that serve beside them, too. */
  readonly serving: number;
}

/** What the running agent says of its replicas, on the admin API. */
export interface LiveReplicas {
  /** null: no agent runs, or it is none that could be asked. `problem`: why it said nothing; null: it answered. */
  readonly admin: { readonly port: number | null; readonly problem: string | null } | null;
  /** null: it has none, or not known. */
  readonly replicas: ReplicaCount | null;
  readonly containers: readonly ListedReplica[];
  /** What keeps the app from being as the operator wants it; null: nothing that is known. */
  readonly trouble: string | null;
}

export type ListedReplica = Pick<
  WireContainer,
  "id" | "name" | "version" | "state" | "seen" | "connections"
> & {
  /** Of the first proxied port, `127.0.0.1:49152`; null: it has none. */
  readonly address: string | null;
};

const nothing = { replicas: null, containers: [], trouble: null } as const;

/** Those that are more than wanted are on their way to replace others. */
export function servingText({ wanted, serving }: ReplicaCount): string {
  const text = `${Math.min(serving, wanted)} of ${wanted} serve`;
  return serving > wanted ? `${text}, ${serving - wanted} new` : text;
}

/** Never fails: an agent that can't be asked is part of the answer. */
export async function readReplicas(layout: Layout, agent: string | null, c: Call): Promise<LiveReplicas> {
  if (agent === null) return { admin: null, ...nothing };
  let port: number | null = null;
  try {
    const record = readAdminRecord(layout.admin);
    if (record === null) return { admin: unasked(agent), ...nothing };
    port = record.port;
    const report = await askAgent(port, c);
    requireSameAgent(report, record.pid, layout);
    return { admin: { port, problem: null }, ...summaryOf(report) };
  } catch (error) {
    c.signal.throwIfAborted();
    return { admin: { port, problem: messageOf(error) }, ...nothing };
  }
}

/** The other kinds have no admin API to miss. */
function unasked(agent: string): LiveReplicas["admin"] {
  const isContainer = agent.includes(", dewy container,");
  return isContainer ? { port: null, problem: "the agent has no admin API; its log says why" } : null;
}

/** The record may be that of an agent that was killed, and the port another agent's by now. */
function requireSameAgent({ status }: AgentReport, pid: number, layout: Layout): void {
  if (status.pid === pid && status.root === realpathSync(layout.root)) return;
  throw new DewyError("bad-answer", `what answers is another agent, of ${status.root}`);
}

function summaryOf({ status, containers }: AgentReport): Omit<LiveReplicas, "admin"> {
  const wanted = status.desired_replicas;
  const serving = containers.filter(({ state }) => state === "serving").length;
  return {
    replicas: wanted === null ? null : { wanted, serving },
    containers: containers.map(({ id, name, version, state, seen, connections, ip_port }) => ({
      id,
      name,
      version,
      state,
      address: ip_port === "" ? null : ip_port,
      connections,
      seen,
    })),
    trouble: status.trouble,
  };
}
