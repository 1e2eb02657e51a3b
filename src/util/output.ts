import { writeSync } from "node:fs";
import { systemCode } from "../errors.ts";

const pauseMs = 5;

/**
 * Writes all of a text to a descriptor that may be a pipe whose reader is slow: such a one takes 64 KiB, and no more
 * until it has been read. Gives up when the reader is gone, or has taken nothing for `patienceMs`.
 */
export function writePatiently(fd: number, text: string, patienceMs: number): void {
  let rest: Uint8Array = Buffer.from(text);
  let deadlineMs = performance.now() + patienceMs;
  while (rest.length > 0) {
    const written = tryWrite(fd, rest);
    if (written === null || performance.now() > deadlineMs) return;
    if (written === 0) Bun.sleepSync(pauseMs);
    else deadlineMs = performance.now() + patienceMs;
    rest = rest.subarray(written);
  }
}

/** null: nobody will ever read it. */
function tryWrite(fd: number, bytes: Uint8Array): number | null {
  try {
    return writeSync(fd, bytes);
  } catch (error) {
    return systemCode(error) === "EAGAIN" ? 0 : null;
  }
}
