import type { FileHandle } from "node:fs/promises";
import type { Call } from "./async.ts";
import { writeWhole } from "./fs.ts";

const bufferBytes = 1024 * 1024;

/** The digest of an open file's bytes, which also go to `to` where that is given. */
export async function pour(from: FileHandle, to: FileHandle | null, c: Call): Promise<`sha256:${string}`> {
  const hasher = new Bun.CryptoHasher("sha256");
  const buffer = Buffer.allocUnsafe(bufferBytes);
  for (let position = 0; ; ) {
    c.signal.throwIfAborted();
    const { bytesRead } = await from.read(buffer, 0, bufferBytes, position);
    if (bytesRead === 0) return `sha256:${hasher.digest("hex")}`;
    hasher.update(buffer.subarray(0, bytesRead));
    if (to !== null) await writeWhole(to, buffer.subarray(0, bytesRead), position);
    position += bytesRead;
  }
}
