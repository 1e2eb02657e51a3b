import { type FileHandle, mkdir, open, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import { systemCode } from "../../errors.ts";
import type { Digest } from "../../release/release.ts";
import type { Call } from "../../util/async.ts";
import { exists, writeWhole } from "../../util/fs.ts";
import { pour } from "../../util/pour.ts";

/** A new file with these bytes, on disk when it resolves. */
export async function writeDurable(path: string, body: Uint8Array): Promise<void> {
  await using file = await open(path, "wx");
  await writeWhole(file, body);
  await file.sync();
}

/** A copy of an open file, on disk when it resolves; answers the digest of what was copied. */
export async function copyDurable(from: FileHandle, to: string, c: Call): Promise<Digest> {
  await using file = await open(to, "wx");
  const digest = await pour(from, file, c);
  await file.sync();
  return digest;
}

/** Makes what `write` needs: a directory may go when its last object does, just before a new one comes. */
export async function inDirectoryOf<T>(path: string, write: () => Promise<T>): Promise<T> {
  for (let tries = 3; ; tries--) {
    await mkdir(dirname(path), { recursive: true });
    try {
      return await write();
    } catch (error) {
      if (tries === 0 || systemCode(error) !== "ENOENT" || (await exists(dirname(path)))) throw error;
    }
  }
}

export async function removeQuietly(path: string): Promise<void> {
  // What went wrong before is what gets reported.
  await unlink(path).catch(() => undefined);
}
