import { open } from "node:fs/promises";
import { toDewyError } from "../errors.ts";
import type { Digest } from "../release/release.ts";
import type { Call } from "../util/async.ts";
import { pour } from "../util/pour.ts";

/** The SHA-256 of a file's content, read through one buffer. */
export async function digestOfFile(path: string, c: Call): Promise<Digest> {
  try {
    await using file = await open(path, "r");
    return await pour(file, null, c);
  } catch (error) {
    c.signal.throwIfAborted();
    throw toDewyError(error, `read ${path}`);
  }
}
