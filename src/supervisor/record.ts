import { readFileSync, renameSync, writeFileSync } from "node:fs";
import * as v from "valibot";
import { partialPath } from "../util/partial.ts";
import { bootId } from "../util/procfs.ts";

const generationSchema = v.object({
  number: v.number(),
  /** null: about to be spawned; the agent may have died before it learned the pid. */
  pid: v.nullable(v.number()),
  startTicks: v.nullable(v.number()),
  release: v.nullable(v.string()),
});
const recordSchema = v.object({
  version: v.literal(1),
  bootId: v.string(),
  command: v.array(v.string()),
  /** `uid:gid` it was started as; null, or not there: the agent's. */
  user: v.optional(v.nullable(v.string())),
  listeners: v.array(v.object({ name: v.string(), inode: v.number() })),
  generations: v.array(generationSchema),
  /** Runs on private sockets: a successor stops them. */
  rehearsals: v.optional(v.array(generationSchema), []),
});

export type SupervisorRecord = v.InferOutput<typeof recordSchema>;
export type RecordedGeneration = v.InferOutput<typeof generationSchema>;

/**
 * `.dewy/supervisor.json`: which processes and listeners are this agent's, so that its successor finds them after
 * a kill -9. Not fsynced: after a power cut the processes are gone as well, and the boot id says so.
 */
export class RecordFile {
  constructor(readonly path: string) {}

  /** null: none, not readable, or of another boot. */
  read(): SupervisorRecord | null {
    try {
      const record = v.parse(recordSchema, JSON.parse(readFileSync(this.path, "utf8")));
      return record.bootId === bootId() ? record : null;
    } catch {
      return null; // no record means nothing to take over: what holds the ports is still found by them
    }
  }

  write(record: Omit<v.InferInput<typeof recordSchema>, "version" | "bootId">): void {
    const partial = partialPath(this.path);
    writeFileSync(partial, JSON.stringify({ version: 1, bootId: bootId(), ...record }), {
      mode: 0o600,
      flag: "wx",
    });
    renameSync(partial, this.path);
  }
}
