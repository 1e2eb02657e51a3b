import { DewyError } from "../errors.ts";
import type { Call } from "../util/async.ts";
import { type Answered, answerMs, ask } from "./ask.ts";
import type { WireContainer, WireStatus } from "./protocol.ts";
import { parseContainers, parseStatus } from "./wire.ts";

/** A container and the port of the agent that named it. */
export interface ListedContainer extends WireContainer {
  readonly admin_port: number;
}

export interface Listing {
  /** Sorted by name. */
  readonly containers: readonly ListedContainer[];
  /** Ports where an agent answered. */
  readonly agents: readonly number[];
  /** Ports that took the connection and gave no whole answer in time: perhaps an agent that hangs. */
  readonly silent: readonly number[];
}

/**
 * Asks the agents of this host what they run, all at once, the Go original's too. Other programs may listen on
 * these ports: what is no agent's answer is left out. `not-found` when no agent answers.
 */
export async function listContainers(ports: readonly number[], c: Call): Promise<Listing> {
  const answers = await Promise.all(
    ports.map(async (port) => ({ port, outcome: await containersAt(port, c) })),
  );
  const portsOf = (kind: (typeof answers)[number]["outcome"]["kind"]) =>
    answers.filter(({ outcome }) => outcome.kind === kind).map(({ port }) => port);
  const agents = portsOf("answered");
  const silent = portsOf("silent");
  if (agents.length === 0) throw nobodyAnswered(ports, silent, portsOf("foreign"));
  // Two agents of one app on one engine both name its containers.
  const byId = new Map<string, ListedContainer>();
  for (const { port, outcome } of answers) {
    for (const container of outcome.kind === "answered" ? outcome.answer : []) {
      if (!byId.has(container.id)) byId.set(container.id, { ...container, admin_port: port });
    }
  }
  const containers = [...byId.values()].sort(
    (a, b) => compareText(a.name, b.name) || compareText(a.id, b.id),
  );
  return { containers, agents, silent };
}

/** What one agent says of itself. */
export interface AgentReport {
  readonly status: WireStatus;
  readonly containers: readonly WireContainer[];
}

/**
 * Asks the agent on one port. `network-unreachable` when nobody listens there, `network-timeout` when no whole answer
 * comes in time, `bad-answer` when what listens is no agent of dewy.
 */
export async function askAgent(port: number, c: Call): Promise<AgentReport> {
  const [status, containers] = await Promise.all([
    ask(port, "/api/status", parseStatus, c),
    containersAt(port, c),
  ]);
  return { status: answerOf(status, port), containers: answerOf(containers, port) };
}

function containersAt(port: number, c: Call): Promise<Answered<WireContainer[]>> {
  return ask(port, "/api/containers", parseContainers, c);
}

function answerOf<T>(answered: Answered<T>, port: number): T {
  switch (answered.kind) {
    case "answered":
      return answered.answer;
    case "nobody":
      throw new DewyError("network-unreachable", `nothing listens on port ${port}`);
    case "silent":
      throw new DewyError("network-timeout", `no answer on port ${port} within ${answerMs / 1000}s`);
    case "foreign":
      throw new DewyError("bad-answer", `what port ${port} answers is no agent's answer`);
  }
}

/** By code unit, as the original sorts: the order must not depend on the locale. */
function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

function nobodyAnswered(
  ports: readonly number[],
  silent: readonly number[],
  foreign: readonly number[],
): DewyError {
  const others = [
    ...(silent.length === 0 ? [] : [`port ${silent.join(", ")} did not answer within ${answerMs / 1000}s`]),
    ...(foreign.length === 0 ? [] : [`another program listens on port ${foreign.join(", ")}`]),
  ];
  const range = ports.length === 1 ? `port ${ports[0]}` : `ports ${ports[0]}-${ports.at(-1)}`;
  return new DewyError("no-agent", `no running dewy instances found (tried ${range})`, {
    hint: [...others, "start `dewy container`, or give the --admin-port that its agent was given"].join("; "),
  });
}
