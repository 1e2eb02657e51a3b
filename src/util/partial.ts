import { readlinkSync } from "node:fs";
import { readdir, rm, stat } from "node:fs/promises";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import { systemCode } from "../errors.ts";

/** What a writer on another host left for so long is nobody's any more. */
const abandonedMs = 24 * 3_600_000;
const pattern = /^\.partial-(x[0-9a-f]{8})-(\d+)-/;

/**
 * Where to make what is to be renamed to `path`: a name nobody can have guessed and put a link at. It tells who makes
 * it: a directory may be shared by hosts, and a process number means something on one of them only.
 */
export function partialPath(path: string): string {
  return join(dirname(path), `.partial-${here()}-${process.pid}-${crypto.randomUUID()}`);
}

/** Removes what writers that were killed left in a directory: nobody else ever would. */
export async function removePartials(directory: string): Promise<void> {
  try {
    for (const name of await readdir(directory)) {
      if (await isAbandoned(directory, name)) await rm(join(directory, name), { force: true });
    }
  } catch {
    // A directory that can't be read or written says so when it is used.
  }
}

async function isAbandoned(directory: string, name: string): Promise<boolean> {
  const [, host, pid] = pattern.exec(name) ?? [];
  if (host === undefined) return false;
  if (host === here()) return !isRunning(Number(pid));
  return Date.now() - (await stat(join(directory, name))).ctimeMs > abandonedMs;
}

/** This host, or the container where it has process numbers of its own. */
function here(): string {
  return `x${new Bun.CryptoHasher("sha256").update(`${hostname()} ${processSpace()}`).digest("hex").slice(0, 8)}`;
}

function processSpace(): string {
  try {
    return readlinkSync("/proc/self/ns/pid");
  } catch {
    return ""; // no such thing on this platform
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return systemCode(error) !== "ESRCH";
  }
}
