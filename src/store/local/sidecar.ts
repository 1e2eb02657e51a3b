import { readFile, rename, unlink, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { Digest } from "../../release/release.ts";
import { isAbsent } from "../../util/fs.ts";
import { partialPath } from "../../util/partial.ts";
import { removeQuietly } from "./transfer.ts";

/**
 * `.<name>.sha256` beside an object: its digest and inode. Removed before the object is replaced and written after,
 * and void for a file that somebody else put there: whatever happens in between, a digest is unknown, never wrong.
 */
export async function readSidecar(path: string, ino: bigint): Promise<Digest | null> {
  try {
    const text = await readFile(sidecarOf(path), "latin1");
    const [, hex, of] = /^sha256:([0-9a-f]{64}) (\d+)\n$/.exec(text) ?? [];
    return hex !== undefined && of === String(ino) ? `sha256:${hex}` : null;
  } catch (error) {
    if (isAbsent(error)) return null;
    throw error;
  }
}

/** Without fsync: one that a power cut spoiled says nothing. */
export async function writeSidecar(path: string, ino: bigint, digest: Digest): Promise<void> {
  const partial = partialPath(path);
  try {
    await writeFile(partial, `${digest} ${ino}\n`, { flag: "wx" });
    await rename(partial, sidecarOf(path));
  } finally {
    await removeQuietly(partial);
  }
}

export async function removeSidecar(path: string): Promise<void> {
  try {
    await unlink(sidecarOf(path));
  } catch (error) {
    if (!isAbsent(error)) throw error;
  }
}

/** A name that is nearly as long as names can be leaves no room for more. */
function sidecarOf(path: string): string {
  const name = basename(path);
  const stem = Buffer.byteLength(name) > 240 ? Bun.SHA256.hash(name, "hex") : name;
  return join(dirname(path), `.${stem}.sha256`);
}
