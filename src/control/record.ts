import * as v from "valibot";
import { readJsonFile, writeJsonFile } from "../util/json-file.ts";

const recordSchema = v.object({
  version: v.literal(1),
  command: v.picklist(["server", "assets", "container"]),
  registry: v.string(),
  calver: v.nullable(v.string()),
  slot: v.nullable(v.string()),
  /** Of how the agent puts releases into use: what failed with one may work with another. */
  setup: v.string(),
  schedule: v.object({ windows: v.array(v.string()), minAgeMs: v.number(), jitterMs: v.number() }),
});

/**
 * `.dewy/agent.json`, mode 0600: what the last agent of a directory watched, so that `dewy check` can ask the same
 * where none runs.
 */
export type AgentRecord = Readonly<v.InferOutput<typeof recordSchema>>;

/** Rejects with `disk-full` or `filesystem`. */
export function writeAgentRecord(path: string, record: Omit<AgentRecord, "version">): void {
  writeJsonFile(path, JSON.stringify({ version: 1, ...record }, null, 2));
}

/** null: there is none. `filesystem` when it can't be read or is none of this dewy's. */
export function readAgentRecord(path: string): AgentRecord | null {
  return readJsonFile(path, (value) => v.parse(recordSchema, value), {
    lacks: "what the agent watched",
    hint: "name the registry with --registry, or start the agent, which writes it anew",
  });
}
