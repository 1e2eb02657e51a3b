import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import * as v from "valibot";
import { partialPath } from "../util/partial.ts";
import { bootId } from "../util/procfs.ts";

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
 * them after a kill -9. Not fsynced: after a power cut the processes are gone as well, and the boot id says so.
 */
export class ProcessRecord {
  constructor(readonly path: string) {}

  /** Empty: none, not readable, or of another boot. */
  read(): readonly RecordedProcess[] {
    try {
      const record = v.parse(recordSchema, JSON.parse(readFileSync(this.path, "utf8")));
      return record.bootId === bootId() ? record.processes : [];
    } catch {
      return []; // what runs is still found by the marks in its environment
    }
  }

  write(processes: readonly RecordedProcess[]): void {
    const partial = partialPath(this.path);
    try {
      const body = JSON.stringify({ version: 1, bootId: bootId(), processes });
      writeFileSync(partial, body, { mode: 0o600, flag: "wx" });
      renameSync(partial, this.path);
    } catch (error) {
      rmSync(partial, { force: true });
      throw error;
    }
  }
}
