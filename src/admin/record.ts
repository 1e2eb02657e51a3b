import { readFileSync } from "node:fs";
import * as v from "valibot";
import { DewyError, systemCode, toDewyError } from "../errors.ts";
import { writeFileAtomic } from "../util/fs.ts";

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
  try {
    writeFileAtomic(path, `${JSON.stringify({ port, pid })}\n`, 0o600);
  } catch (error) {
    throw toDewyError(error, `write ${path}`);
  }
}

/** null: there is none. `filesystem` when it can't be read or is none of dewy's. */
export function readAdminRecord(path: string): AdminRecord | null {
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
    throw new DewyError("filesystem", `${path} does not say where the agent answers`, {
      cause: error,
      hint: "restart the agent, which writes it anew",
    });
  }
}
