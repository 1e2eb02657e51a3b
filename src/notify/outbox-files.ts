import { lstatSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { messageOf, systemCode, toDewyError } from "../errors.ts";
import type { Log } from "../log.ts";
import { writeFileAtomic } from "../util/fs.ts";
import { removePartials } from "../util/partial.ts";
import { type Cursor, decodeCursor, encodeCursor, startCursor } from "./cursor.ts";
import { decodeNotice, encodeNotice, type StoredNotice } from "./notice-file.ts";

const noticeName = /^(\d{13}-[0-9a-f]{8})\.json$/;
const cursorName = /^cursor-([0-9a-f]{16})\.json$/;
/** Of this directory, but not of the outbox; and where what can't be read goes. */
const others = /^limiter\.json(\.unreadable)?$|^unreadable$|^\.partial-/;

export interface FoundCursor {
  readonly key: string;
  readonly cursor: Cursor;
}

export interface FoundNotice {
  readonly id: string;
  /** null: its file can't be read at the moment. */
  readonly stored: StoredNotice | null;
}

interface FoundFiles {
  readonly notices: readonly FoundNotice[];
  readonly cursors: readonly FoundCursor[];
}

/**
 * `.dewy/outbox/`: `<id>.json` for each notice, `cursor-<hash>.json` for each notifier. Nothing but `read` throws: a disk
 * that is full or can't be written is one WARN, and what it did not take stays in memory.
 */
export class OutboxFiles {
  #works = true;

  constructor(
    private readonly directory: string,
    private readonly log: Log,
  ) {}

  /** All that can be read, oldest first; what is no notice is moved into `unreadable/`. */
  load({ make }: { readonly make: boolean }): FoundFiles {
    const notices: FoundNotice[] = [];
    const cursors: FoundCursor[] = [];
    const strange: string[] = [];
    for (const name of this.#names(make)) {
      const id = noticeName.exec(name)?.[1];
      const key = cursorName.exec(name)?.[1];
      if (id !== undefined) {
        const stored = this.#readNow(id);
        if (stored === null) strange.push(name);
        else notices.push({ id, stored: stored === "later" ? null : stored });
      } else if (key !== undefined) {
        const found = this.#readCursor(key, name);
        if (found === null) {
          strange.push(name);
          // Rather once more than never.
          cursors.push({ key, cursor: startCursor });
        } else cursors.push(found);
      } else if (!others.test(name)) strange.push(name);
    }
    if (strange.length > 0) this.#setAside(strange);
    return { notices, cursors };
  }

  /**
   * null: it is not there, or not whole. Throws what may pass (no descriptor left, a disk's error) as retryable: a notice
   * that can't be read for a moment is not lost.
   */
  read(id: string): StoredNotice | null {
    const content = this.#content(this.#pathOf(id));
    if (content === null) return null;
    try {
      const stored = decodeNotice(content);
      return stored.notice.id === id ? stored : null;
    } catch {
      return null;
    }
  }

  /** On disk for good when it answers true. */
  write(stored: StoredNotice): boolean {
    return this.#try("written", () =>
      writeFileAtomic(this.#pathOf(stored.notice.id), encodeNotice(stored), 0o600),
    );
  }

  remove(id: string): void {
    this.#try("removed", () => rmSync(this.#pathOf(id), { force: true }));
  }

  writeCursor(key: string, cursor: Cursor): boolean {
    return this.#try("written", () => writeFileAtomic(this.#cursorPath(key), encodeCursor(cursor), 0o600));
  }

  removeCursor(key: string): void {
    this.#try("removed", () => rmSync(this.#cursorPath(key), { force: true }));
  }

  #readNow(id: string): StoredNotice | "later" | null {
    try {
      return this.read(id);
    } catch {
      // Whoever is to send it reads it again, and says so where that fails.
      return "later";
    }
  }

  /** null: there is no such file. */
  #content(path: string): string | null {
    try {
      return lstatSync(path).isFile() ? readFileSync(path, "utf8") : null;
    } catch (error) {
      if (systemCode(error) === "ENOENT") return null;
      throw toDewyError(error, "read a notice");
    }
  }

  #try(done: "written" | "removed", work: () => void): boolean {
    try {
      work();
      // To remove what is not there works on any disk.
      if (done === "written") this.#works = true;
      return true;
    } catch (error) {
      if (this.#works) {
        const what = `Notices can't be ${done}; they are kept in memory and sent all the same`;
        this.log.warn(what, { path: this.directory, error: messageOf(error) });
      }
      this.#works = false;
      return false;
    }
  }

  #names(make: boolean): readonly string[] {
    try {
      if (make) mkdirSync(this.directory, { recursive: true, mode: 0o700 });
    } catch {
      // What is to be written says so.
    }
    // Nobody waits for it: what killed writers left has no name of the outbox.
    void removePartials(this.directory);
    try {
      return readdirSync(this.directory).sort();
    } catch (error) {
      // Missing, it could not be made: the first write says so.
      if (systemCode(error) !== "ENOENT") {
        this.log.warn("Outbox not readable", { path: this.directory, error: messageOf(error) });
      }
      return [];
    }
  }

  #readCursor(key: string, name: string): FoundCursor | null {
    try {
      const path = join(this.directory, name);
      if (!lstatSync(path).isFile()) return null;
      return { key, cursor: decodeCursor(readFileSync(path, "utf8")) };
    } catch {
      return null;
    }
  }

  /** Never thrown away: an operator may want to see what it was. */
  #setAside(names: readonly string[]): void {
    const aside = join(this.directory, "unreadable");
    try {
      mkdirSync(aside, { recursive: true, mode: 0o700 });
      for (const name of names) renameSync(join(this.directory, name), join(aside, name));
    } catch {
      // They stay where they are, and out of the way all the same.
    }
    this.log.warn("Files in the outbox are no notices; set aside", {
      count: names.length,
      first: names[0],
      moved_to: aside,
    });
  }

  #pathOf(id: string): string {
    return join(this.directory, `${id}.json`);
  }

  #cursorPath(key: string): string {
    return join(this.directory, `cursor-${key}.json`);
  }
}
