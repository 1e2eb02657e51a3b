import { closeSync, futimesSync } from "node:fs";
import { systemCode, toDewyError } from "../../errors.ts";
import { writeAll } from "../../util/fs.ts";
import type { Budget } from "./limits.ts";
import { quote, refused } from "./refusal.ts";

/** One open file of the release. Sets the modification time when it is closed, after the last write. */
export class ReleaseFileWriter {
  readonly #budget: Budget;
  readonly #name: string;
  readonly #mtimeSeconds: number | null;
  #fd: number | null;

  constructor(fd: number, name: string, mtimeSeconds: number | null, budget: Budget) {
    this.#fd = fd;
    this.#name = name;
    this.#mtimeSeconds = mtimeSeconds;
    this.#budget = budget;
  }

  write(bytes: Uint8Array): void {
    const fd = this.#fd;
    if (fd === null) throw new Error("written after close");
    this.#budget.write(bytes.length, this.#name);
    writing(this.#name, () => writeAll(fd, bytes));
  }

  close(): void {
    const fd = this.#fd;
    const mtime = this.#mtimeSeconds;
    if (fd === null) return;
    if (mtime !== null) writing(this.#name, () => futimesSync(fd, mtime, mtime));
    this.#fd = null;
    writing(this.#name, () => closeSync(fd));
  }

  [Symbol.dispose](): void {
    if (this.#fd !== null) closeSync(this.#fd);
    this.#fd = null;
  }
}

/** Runs an effect on the disk for the entry `name`; its errors become DewyErrors that name it. */
export function writing<T>(name: string, effect: () => T): T {
  try {
    return effect();
  } catch (error) {
    if (systemCode(error) === "ENAMETOOLONG") {
      throw refused(name, "has a path too long for this disk", "shorten the name");
    }
    throw toDewyError(error, `writing ${quote(name)}`);
  }
}
