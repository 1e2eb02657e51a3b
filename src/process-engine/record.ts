import * as v from "valibot";
import { readBootRecord, writeBootRecord } from "../process/boot-record.ts";

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
});
const recordSchema = v.object({
  version: v.literal(1),
  bootId: v.string(),
  processes: v.array(processSchema),
});

export type RecordedProcess = v.InferOutput<typeof processSchema>;

/**
 * `.dewy/replicas.json`: which processes are this agent's, and at which ports they serve, so that its successor finds
 * them after a kill -9.
 */
export class ProcessRecord {
  constructor(readonly path: string) {}

  /** Empty: none, not readable, or of another boot. */
  read(): readonly RecordedProcess[] {
    return readBootRecord(this.path, (value) => v.parse(recordSchema, value))?.processes ?? [];
  }

  write(processes: readonly RecordedProcess[]): void {
    writeBootRecord(this.path, { processes });
  }
}
