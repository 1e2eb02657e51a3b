import { createHash } from "node:crypto";

/**
 * Where this host stands among all that deploy a release: from 0 up to, not including, 1. Always the same for one
 * host, directory and release, and unrelated between two of them.
 */
export function spreadOf(host: string, root: string, release: string): number {
  const digest = createHash("sha256")
    .update(JSON.stringify([host, root, release]))
    .digest();
  return digest.readUIntBE(0, 6) / 2 ** 48;
}
