import { writeSync } from "node:fs";
import { DewyError, messageOf, systemCode } from "../errors.ts";
import { formatDuration } from "./time.ts";

const pauseMs = 5;

/**
 * Writes all of a text to a descriptor that may be a pipe whose reader is slow: such a one takes 64 KiB, and no more
 * until it has been read. Answers false when the reader is gone, who has what it wanted. Fails with `filesystem`
 * where the text can't be written, or nobody has taken any of it for `patienceMs`: whoever reads a part of it must
 * not take it for the whole.
 */
export function writePatiently(fd: number, text: string, patienceMs: number): boolean {
  let rest: Uint8Array = Buffer.from(text);
  let deadlineMs = performance.now() + patienceMs;
  while (rest.length > 0) {
    const written = tryWrite(fd, rest);
    if (written === null) return false;
    if (written > 0) deadlineMs = performance.now() + patienceMs;
    else if (performance.now() > deadlineMs)
      throw unwritten(`nobody has read it for ${formatDuration(patienceMs)}`);
    else Bun.sleepSync(pauseMs);
    rest = rest.subarray(written);
  }
  return true;
}

/** null: its reader is gone. */
function tryWrite(fd: number, bytes: Uint8Array): number | null {
  try {
    return writeSync(fd, bytes);
  } catch (error) {
    const code = systemCode(error);
    if (code === "EAGAIN") return 0;
    if (code === "EPIPE") return null;
    throw unwritten(messageOf(error));
  }
}

function unwritten(why: string): DewyError {
  return new DewyError("filesystem", `the output can't be written: ${why}`, {
    hint: "look at where it is sent to",
  });
}
