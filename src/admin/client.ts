import { type ClientRequest, get, type IncomingMessage } from "node:http";
import * as v from "valibot";
import { DewyError, systemCode } from "../errors.ts";
import { abortable, type Call, withDeadline } from "../util/async.ts";
import type { WireContainer } from "./protocol.ts";

const deadlineMs = 1000;
const maxAnswerBytes = 4 * 1024 * 1024;
const maxContainers = 1000;

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

type Outcome =
  | { readonly kind: "agent"; readonly containers: readonly WireContainer[] }
  | { readonly kind: "nobody" | "silent" | "foreign" };

/**
 * Asks the agents of this host what they run, all at once, the Go original's too. Other programs may listen on
 * these ports: what is no agent's answer is left out. `not-found` when no agent answers.
 */
export async function listContainers(ports: readonly number[], c: Call): Promise<Listing> {
  const answers = await Promise.all(ports.map(async (port) => ({ port, outcome: await ask(port, c) })));
  const portsOf = (kind: Outcome["kind"]) =>
    answers.filter(({ outcome }) => outcome.kind === kind).map(({ port }) => port);
  const agents = portsOf("agent");
  const silent = portsOf("silent");
  if (agents.length === 0) throw nobodyAnswered(ports, silent, portsOf("foreign"));
  // Two agents of one app on one engine both name its containers.
  const byId = new Map<string, ListedContainer>();
  for (const { port, outcome } of answers) {
    for (const container of outcome.kind === "agent" ? outcome.containers : []) {
      if (!byId.has(container.id)) byId.set(container.id, { ...container, admin_port: port });
    }
  }
  const containers = [...byId.values()].sort(
    (a, b) => compareText(a.name, b.name) || compareText(a.id, b.id),
  );
  return { containers, agents, silent };
}

/** By code unit, as the original sorts: the order must not depend on the locale. */
function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

async function ask(port: number, c: Call): Promise<Outcome> {
  const { signal } = withDeadline(c, deadlineMs);
  try {
    return { kind: "agent", containers: parseAnswer(await fetchText(port, signal)) };
  } catch (error) {
    c.signal.throwIfAborted();
    if (signal.aborted) return { kind: "silent" };
    return { kind: systemCode(error) === "ECONNREFUSED" ? "nobody" : "foreign" };
  }
}

/** By node:http, as fetch would go through HTTP_PROXY even to the loopback address. */
async function fetchText(port: number, signal: AbortSignal): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const options = { host: "127.0.0.1", port, path: "/api/containers", agent: false };
  const request: ClientRequest = get(options, (response) => readAnswer(response).then(resolve, reject));
  request.on("error", reject);
  try {
    return await abortable(promise, signal);
  } finally {
    request.destroy();
  }
}

async function readAnswer(response: IncomingMessage): Promise<string> {
  const { statusCode, headers } = response;
  if (statusCode !== 200 || !/^application\/json\b/i.test(headers["content-type"] ?? "")) {
    throw new DewyError("bad-answer", "not an agent's answer");
  }
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response) {
    const bytes = Buffer.from(chunk);
    size += bytes.length;
    if (size > maxAnswerBytes) throw new DewyError("bad-answer", "the answer is too large");
    chunks.push(bytes);
  }
  return Buffer.concat(chunks).toString("utf8");
}

const line = (max: number) => v.pipe(v.string(), v.maxLength(max));
const count = v.pipe(v.number(), v.integer(), v.minValue(0));
/**
 * null, and Go's zero time (`0001-01-01T00:00:00Z`), mean that there is none. A date that the calendar lacks throws,
 * which makes it no agent's answer.
 */
const time = v.pipe(
  v.nullable(v.pipe(line(40), v.regex(/^\d{4}-\d\d-\d\dT/))),
  v.transform((text) => (text === null || text.startsWith("0001-") ? null : new Date(text).toISOString())),
);

/** Names, ids and addresses as engines make them: nothing in them can move a terminal's cursor. */
const containerSchema = v.object({
  id: v.pipe(v.string(), v.regex(/^[0-9a-f]{12,64}$/)),
  name: v.pipe(v.string(), v.regex(/^[a-zA-Z0-9][\w.-]{0,254}$/)),
  image: line(1024),
  status: line(64),
  ip_port: v.pipe(v.string(), v.regex(/^(?:[0-9a-f.:[\]]{0,50}:\d{1,5})?$/i)),
  started_at: time,
  deployed_at: time,
  labels: v.nullable(v.record(v.string(), v.string())),
  replica: v.nullish(count),
  version: v.nullish(line(256)),
  state: v.nullish(line(64)),
  connections: v.nullish(count),
  health: v.nullish(line(64)),
});

/** Go writes a list that was never filled as null. */
const answerSchema = v.object({
  containers: v.nullable(v.pipe(v.array(containerSchema), v.maxLength(maxContainers))),
});

/** The original's agents say replica and version in the labels only. */
function parseAnswer(text: string): WireContainer[] {
  const { containers } = v.parse(answerSchema, JSON.parse(text));
  return (containers ?? []).map((container) => {
    const labels = container.labels ?? {};
    const replica = labels["dewy.replica"] ?? "";
    return {
      ...container,
      labels,
      replica: container.replica ?? (/^\d{1,6}$/.test(replica) ? Number(replica) : null),
      version: container.version ?? labels["dewy.version"] ?? null,
      state: container.state ?? null,
      connections: container.connections ?? null,
      health: container.health ?? null,
    };
  });
}

function nobodyAnswered(
  ports: readonly number[],
  silent: readonly number[],
  foreign: readonly number[],
): DewyError {
  const others = [
    ...(silent.length === 0 ? [] : [`port ${silent.join(", ")} did not answer within ${deadlineMs / 1000}s`]),
    ...(foreign.length === 0 ? [] : [`another program listens on port ${foreign.join(", ")}`]),
  ];
  const range = ports.length === 1 ? `port ${ports[0]}` : `ports ${ports[0]}-${ports.at(-1)}`;
  return new DewyError("not-found", `no running dewy instances found (tried ${range})`, {
    hint: [...others, "start `dewy container`, or give the --admin-port that its agent was given"].join("; "),
  });
}
