import * as v from "valibot";
import { dropBootRecord, readBootRecord, writeBootRecord } from "../process/boot-record.ts";

const processSchema = v.object({
  id: v.string(),
  name: v.string(),
  /** The release directory's name. */
  release: v.string(),
  labels: v.record(v.string(), v.string()),
  ports: v.array(v.object({ appPort: v.number(), hostPort: v.number() })),
  createdAt: v.string(),
  /** null: about to be spawned; the agent may have died before it learned the pid. */
  pid: v.nullable(v.number()),
  startTicks: v.nullable(v.number()),
  /** It is being stopped: its end is no crash. */
  stopping: v.optional(v.boolean(), false),
});
const recordSchema = v.object({
  version: v.literal(1),
  bootId: v.string(),
  processes: v.array(processSchema),
  /** Who may end the app together with its agent; null: not known. */
  keeper: v.optional(v.nullable(v.string()), null),
});

export type RecordedProcess = v.InferOutput<typeof processSchema>;
/** What of it stays the same while it runs. */
export type CopyIdentity = Omit<RecordedProcess, "pid" | "startTicks" | "stopping">;
export type RecordedProcesses = Pick<v.InferOutput<typeof recordSchema>, "processes" | "keeper">;

/**
 * `.dewy/replicas.json`: which processes are this agent's, and at which ports they serve, so that its successor finds
 * them after a kill -9.
 */
export class ProcessRecord {
  constructor(readonly path: string) {}

  /** Empty: none, not readable, or of another boot. */
  read(): RecordedProcesses {
    const record = readBootRecord(this.path, (value) => v.parse(recordSchema, value));
    return record ?? { processes: [], keeper: null };
  }

  /** Where it can't be noted that all are being stopped there is none afterwards, so that their end is no crash either. */
  write({ processes, keeper }: RecordedProcesses): void {
    try {
      writeBootRecord(this.path, { processes, keeper });
    } catch (error) {
      if (processes.every(({ stopping }) => stopping)) dropBootRecord(this.path);
      throw error;
    }
  }
}
