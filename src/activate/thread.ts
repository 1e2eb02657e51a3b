import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { join } from "node:path";

/** A pipeline that announced the release puts the `ts` of its message in here. */
const fileName = ".slack-thread-ts";
const maxBytes = 64;

/**
 * The Slack thread that a release brought along: the first line of `.slack-thread-ts` in its directory, as
 * `1503435956.000247`. null: there is none, or it is anything but a plain file with a number. What an archive holds is
 * not trusted: no link is followed and no pipe waited for.
 */
export function threadOf(releaseDirectory: string): string | null {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
  let fd: number;
  try {
    fd = openSync(join(releaseDirectory, fileName), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch {
    return null; // as a rule there is none
  }
  try {
    if (!fstatSync(fd).isFile()) return null;
    // One more than a line may have, to see that it ends.
    const bytes = Buffer.alloc(maxBytes + 1);
    const line = bytes.toString("latin1", 0, readSync(fd, bytes)).split(/\r?\n/, 1)[0] ?? "";
    return line.length <= maxBytes && /^\d+\.\d+$/.test(line) ? line : null;
  } catch {
    return null;
  } finally {
    closeSync(fd);
  }
}
