import { chmodSync, lstatSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { DewyError, systemCode, toDewyError } from "../errors.ts";
import { isAbsent } from "../util/fs.ts";

const probeMs = 1_000;

/**
 * Listens on `path` with mode 0600 from the first moment on: bound in a directory that nobody else can enter, and
 * moved to its place when it has its mode. What a killed agent left there is replaced, what a living one listens on
 * is not (`lock-held`). A path longer than the 108 bytes of sun_path is no trouble: Bun binds and connects by way of
 * /proc/self/fd.
 */
export async function listenPrivately<T extends { stop(now: boolean): unknown }>(
  path: string,
  listen: (path: string) => T,
): Promise<T> {
  if (await isAnswered(path)) {
    throw new DewyError("lock-held", `another agent answers on ${path}`, {
      hint: "stop it first, or give this one a directory of its own with --root",
    });
  }
  const directory = `${path}.new`;
  let listening: T | null = null;
  try {
    rmSync(directory, { recursive: true, force: true });
    mkdirSync(directory, { mode: 0o700 });
    const inside = join(directory, "socket");
    listening = listen(inside);
    chmodSync(inside, 0o600);
    renameSync(inside, path);
    return listening;
  } catch (error) {
    listening?.stop(true);
    throw toDewyError(error, `listen on ${path}`);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Whether somebody listens there; one who takes the connection and says nothing does. */
async function isAnswered(path: string): Promise<boolean> {
  try {
    await fetch("http://localhost/", { unix: path, signal: AbortSignal.timeout(probeMs) });
    return true;
  } catch (error) {
    return !nobodyListens(error);
  }
}

/** What connecting to a socket that is not there, or whose listener is gone, fails with. */
export function nobodyListens(error: unknown): boolean {
  return isAbsent(error) || systemCode(error) === "ECONNREFUSED";
}

/** Names what lies there, so that only that is removed; null: nothing does. */
export function inodeOf(path: string): bigint | null {
  return lstatSync(path, { bigint: true, throwIfNoEntry: false })?.ino ?? null;
}
