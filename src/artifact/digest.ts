import { open } from "node:fs/promises";
import { toDewyError } from "../errors.ts";
import type { Digest } from "../release/release.ts";
import type { Call } from "../util/async.ts";

const bufferBytes = 1024 * 1024;

/** The SHA-256 of a file's content, read through one buffer. */
export async function digestOfFile(path: string, c: Call): Promise<Digest> {
  try {
    await using file = await open(path, "r");
    const hasher = new Bun.CryptoHasher("sha256");
    const buffer = Buffer.alloc(bufferBytes);
    for (;;) {
      c.signal.throwIfAborted();
      const { bytesRead } = await file.read(buffer, 0, bufferBytes);
      if (bytesRead === 0) return `sha256:${hasher.digest("hex")}`;
      hasher.update(buffer.subarray(0, bytesRead));
    }
  } catch (error) {
    c.signal.throwIfAborted();
    throw toDewyError(error, `read ${path}`);
  }
}
