import { closeSync, constants, fsyncSync, openSync, readFileSync } from "node:fs";
import { systemCode, toDewyError } from "../errors.ts";
import type { DeployRecord } from "../release/release.ts";
import { writeAll } from "../util/fs.ts";

const { O_APPEND, O_CREAT, O_NOFOLLOW, O_WRONLY } = constants;

/** `.dewy/history.jsonl`: one line a deploy, oldest first, each fsynced. */
export class History {
  constructor(readonly path: string) {}

  append(record: DeployRecord): void {
    try {
      const torn = this.#endsTorn();
      const fd = openSync(this.path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0o644);
      try {
        writeAll(fd, Buffer.from(`${torn ? "\n" : ""}${JSON.stringify(record)}\n`));
        fsyncSync(fd);
      } finally {
        closeSync(fd);
      }
    } catch (error) {
      throw toDewyError(error, `write ${this.path}`);
    }
  }

  /** Lines that a crash tore are left out. */
  read(): DeployRecord[] {
    return this.#text()
      .split("\n")
      .flatMap((line) => {
        try {
          return line === "" ? [] : [JSON.parse(line) as DeployRecord];
        } catch {
          return [];
        }
      });
  }

  #endsTorn(): boolean {
    const text = this.#text();
    return text !== "" && !text.endsWith("\n");
  }

  #text(): string {
    try {
      return readFileSync(this.path, "utf8");
    } catch (error) {
      if (systemCode(error) === "ENOENT") return "";
      throw error;
    }
  }
}
