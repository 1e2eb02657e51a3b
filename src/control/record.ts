import { readFileSync } from "node:fs";
import * as v from "valibot";
import { DewyError, systemCode, toDewyError } from "../errors.ts";
import { writeFileAtomic } from "../util/fs.ts";

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
  try {
    writeFileAtomic(path, `${JSON.stringify({ version: 1, ...record }, null, 2)}\n`, 0o600);
  } catch (error) {
    throw toDewyError(error, `write ${path}`);
  }
}

/** null: there is none. `filesystem` when it can't be read or is none of this dewy's. */
export function readAgentRecord(path: string): AgentRecord | null {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if (systemCode(error) === "ENOENT") return null;
    throw toDewyError(error, `read ${path}`);
  }
  try {
    return v.parse(recordSchema, JSON.parse(text));
  } catch (error) {
    throw new DewyError("filesystem", `${path} does not say what the agent watched`, {
      cause: error,
      hint: "name the registry with --registry, or start the agent, which writes it anew",
    });
  }
}
