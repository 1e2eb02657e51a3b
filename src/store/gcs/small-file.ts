import { open } from "node:fs/promises";
import { DewyError, toDewyError } from "../../errors.ts";
import type { LocalFile } from "../store.ts";

/** The file's size, and its content when that is at most `maxBytes`. `filesystem` when it is not what it was. */
export async function readSmall(
  file: LocalFile,
  maxBytes: number,
  doing: string,
): Promise<{ readonly sizeBytes: number; readonly body: Uint8Array | null }> {
  try {
    await using handle = await open(file.path, "r");
    const stat = await handle.stat();
    if (!stat.isFile())
      throw new DewyError("filesystem", `${doing}: ${file.path} is no file`, { retryable: false });
    if (stat.size > maxBytes) return { sizeBytes: stat.size, body: null };
    const body = await handle.readFile();
    if (`sha256:${Bun.SHA256.hash(body, "hex")}` === file.digest) return { sizeBytes: body.length, body };
  } catch (error) {
    throw toDewyError(error, doing);
  }
  throw new DewyError("filesystem", `${doing}: ${file.path} is not the file it was`, { retryable: false });
}
