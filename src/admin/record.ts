import * as v from "valibot";
import { readJsonFile, writeJsonFile } from "../util/json-file.ts";

const recordSchema = v.object({
  port: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65_535)),
  pid: v.pipe(v.number(), v.integer(), v.minValue(1)),
});

/**
 * `.dewy/admin.json`: on which port of 127.0.0.1 the agent with this pid answers. It outlives a killed agent: whoever
 * reads it compares it with what the port says of itself.
 */
export type AdminRecord = Readonly<v.InferOutput<typeof recordSchema>>;

/** Rejects with `disk-full` or `filesystem`. */
export function writeAdminRecord(path: string, { port, pid }: AdminRecord): void {
  writeJsonFile(path, JSON.stringify({ port, pid }));
}

/** null: there is none. `filesystem` when it can't be read or is none of dewy's. */
export function readAdminRecord(path: string): AdminRecord | null {
  return readJsonFile(path, (value) => v.parse(recordSchema, value), {
    lacks: "where the agent answers",
    hint: "restart the agent, which writes it anew",
  });
}
