import * as v from "valibot";
import { dropBootRecord, readBootRecord, writeBootRecord } from "../process/boot-record.ts";

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
  /** Who may end the app together with its agent; null: not known. */
  keeper: v.optional(v.nullable(v.string()), null),
  /** The app is being stopped: its end is no crash. */
  stopping: v.optional(v.boolean(), false),
  /** Runs on private sockets: a successor stops them. */
  rehearsals: v.optional(v.array(generationSchema), []),
  /** Ended by themselves, and this agent may not have acted on it yet: a successor does. */
  ended: v.optional(v.array(generationSchema), []),
});

export type SupervisorRecord = v.InferOutput<typeof recordSchema>;
export type RecordedGeneration = v.InferOutput<typeof generationSchema>;

/**
 * `.dewy/supervisor.json`: which processes and listeners are this agent's, so that its successor finds them after
 * a kill -9.
 */
export class RecordFile {
  constructor(readonly path: string) {}

  /** null: none, not readable, or of another boot. */
  read(): SupervisorRecord | null {
    return readBootRecord(this.path, (value) => v.parse(recordSchema, value));
  }

  /** Where it can't be noted that the app is being stopped there is none afterwards, so that its end is no crash either. */
  write(record: Omit<v.InferInput<typeof recordSchema>, "version" | "bootId">): void {
    try {
      writeBootRecord(this.path, record);
    } catch (error) {
      if (record.stopping === true) dropBootRecord(this.path);
      throw error;
    }
  }

  /** Of what a predecessor left. Where it can't be written, the app is stopped all the same. */
  markStopping(): void {
    const record = this.read();
    if (record === null) return;
    try {
      this.write({ ...record, stopping: true });
    } catch {
      // There is no record now: nothing counts.
    }
  }
}
