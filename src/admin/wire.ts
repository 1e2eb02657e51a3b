import * as v from "valibot";
import { maxReasonLength, type WireContainer, type WireStatus } from "./protocol.ts";

const maxContainers = 1000;

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
  seen: v.nullish(line(maxReasonLength)),
  connections: v.nullish(count),
  health: v.nullish(line(64)),
});

/** Go writes a list that was never filled as null. */
const containersSchema = v.object({
  containers: v.nullable(v.pipe(v.array(containerSchema), v.maxLength(maxContainers))),
});

/**
 * The answer to `GET /api/containers`; throws on what no agent says. The original's agents say replica and version in
 * the labels only.
 */
export function parseContainers(text: string): WireContainer[] {
  const { containers } = v.parse(containersSchema, JSON.parse(text));
  return (containers ?? []).map((container) => {
    const labels = container.labels ?? {};
    const replica = labels["dewy.replica"] ?? "";
    return {
      ...container,
      labels,
      replica: container.replica ?? (/^\d{1,6}$/.test(replica) ? Number(replica) : null),
      version: container.version ?? labels["dewy.version"] ?? null,
      state: container.state ?? null,
      seen: container.seen ?? null,
      connections: container.connections ?? null,
      health: container.health ?? null,
    };
  });
}

const statusSchema = v.object({
  name: line(256),
  command: v.picklist(["server", "assets", "container"]),
  current_version: line(256),
  proxy_backends: count,
  is_running: v.boolean(),
  root: line(4096),
  pid: count,
  desired_replicas: v.nullable(count),
  /** Agents that were started before it was said leave it out. */
  trouble: v.nullish(line(maxReasonLength)),
});

/** The answer to `GET /api/status`; throws on what no agent says. The original's lacks most of it. */
export function parseStatus(text: string): WireStatus {
  const status = v.parse(statusSchema, JSON.parse(text));
  return { ...status, trouble: status.trouble ?? null };
}
