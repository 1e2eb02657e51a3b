import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A directory of its own, gone with everything in it at the end of the block. */
export function tempDir(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(realpathSync(tmpdir()), "dewy-test-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}
