import { readFileSync, readlinkSync } from "node:fs";
import { messageOf } from "../errors.ts";
import type { Log } from "../log.ts";
import { unmapClean } from "./libc.ts";

/**
 * Gives back what a start or a deploy needed and an idle agent does not: garbage on the heap, and the pages of the
 * executable's code, of which a hundred megabytes are on disk and most serve only once. Code that is needed again
 * comes back from the page cache by itself. Linux only; elsewhere nothing but the garbage is collected.
 */
export function releaseIdleMemory(log: Log): void {
  Bun.gc(true);
  if (process.platform !== "linux") return;
  try {
    for (const { start, bytes } of codeMappings()) unmapClean(start, bytes);
  } catch (error) {
    log.debug("Idle memory not released", { error: messageOf(error) });
  }
}

/** This executable's code in memory (proc_pid_maps(5)): never written to, so nothing can be lost. */
function codeMappings(): { start: bigint; bytes: bigint }[] {
  const executable = readlinkSync("/proc/self/exe");
  return readFileSync("/proc/self/maps", "utf8")
    .split("\n")
    .map((line) => /^([0-9a-f]+)-([0-9a-f]+) r-xp \S+ \S+ \S+ +(.*)$/.exec(line))
    .filter((match) => match?.[3] === executable)
    .map((match) => {
      const start = BigInt(`0x${match?.[1]}`);
      return { start, bytes: BigInt(`0x${match?.[2]}`) - start };
    });
}
