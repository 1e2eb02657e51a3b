import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { partialPath } from "../util/partial.ts";
import { bootId } from "../util/procfs.ts";

/** What a file says of an agent's processes, which are those of one boot. */
export interface OfBoot {
  readonly version: 1;
  readonly bootId: string;
}

/** null: none, not readable, or of another boot. */
export function readBootRecord<T extends OfBoot>(path: string, parse: (value: unknown) => T): T | null {
  try {
    const record = parse(JSON.parse(readFileSync(path, "utf8")));
    return record.bootId === bootId() ? record : null;
  } catch {
    return null; // what runs is still found by the marks in its environment
  }
}

/** At once or not at all. Not fsynced: after a power cut the processes are gone as well, and the boot id says so. */
export function writeBootRecord(path: string, record: object): void {
  const partial = partialPath(path);
  try {
    writeFileSync(partial, JSON.stringify({ version: 1, bootId: bootId(), ...record }), {
      mode: 0o600,
      flag: "wx",
    });
    renameSync(partial, path);
  } catch (error) {
    rmSync(partial, { force: true });
    throw error;
  }
}

/** What it says holds no more, and what does can't be written: this takes no room. */
export function dropBootRecord(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // Nothing can be changed here: whoever reads it finds it as it is.
  }
}
