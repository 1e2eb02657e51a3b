import { existsSync, mkdirSync, mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DewyError, messageOf } from "../errors.ts";
import type { Log } from "../log.ts";
import { writeFileAtomic } from "../util/fs.ts";

/** Names the working directory whose agent uses a cache directory. */
const ownerFile = ".dewy-root";

/**
 * The agent's cache directory: the one that was given, else `.dewy/cache`; where that can't be made, a temporary
 * one, with a WARN. One that serves another working directory is `config-invalid`: both would write `current`.
 */
export function prepareCacheDirectory(given: string | null, root: string, log: Log): string {
  const wanted = given ?? join(root, ".dewy", "cache");
  try {
    // A given directory that is there keeps its mode.
    mkdirSync(wanted, { recursive: true, mode: 0o755 });
    claim(wanted, root);
    return wanted;
  } catch (error) {
    if (error instanceof DewyError) throw error;
    const temporary = mkdtempSync(join(tmpdir(), "dewy-cache-"));
    log.warn("Cache directory not usable; using a temporary one", {
      error: messageOf(error),
      wanted,
      path: temporary,
    });
    return temporary;
  }
}

function claim(directory: string, root: string): void {
  const path = join(directory, ownerFile);
  const owner = existsSync(path) ? readFileSync(path, "utf8").trim() : null;
  if (owner === root) return;
  if (owner !== null && existsSync(join(owner, ".dewy"))) {
    throw new DewyError("config-invalid", `the cache directory ${directory} belongs to ${owner}`, {
      hint: "give each app its own DEWY_CACHEDIR: both would write the key `current`",
    });
  }
  writeFileAtomic(path, `${root}\n`);
}
