import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { DeployEvent } from "../../src/events.ts";
import { cursorKey } from "../../src/notify/cursor.ts";
import { type Filter, filterOf } from "../../src/notify/filter.ts";
import { Outbox, type OutboxOptions, type OutboxStep } from "../../src/notify/outbox.ts";
import { FakeClock } from "./clock.ts";
import { recordingLog } from "./recording.ts";
import { tempDir } from "./temp-dir.ts";

export const everything: Filter = filterOf({ on: null, quiet: null });

/** A reader of all, by its URL. */
export function readerOf(url: string, wants: Filter = everything) {
  return { key: cursorKey(url), formerKeys: [], wants };
}

/** A directory with an outbox in it that is opened as often as an agent starts. */
export class OutboxHost implements Disposable {
  readonly #dir = tempDir();
  readonly root = this.#dir.path;
  readonly clock = new FakeClock();
  readonly log = recordingLog();
  readonly steps: OutboxStep[] = [];

  constructor(readonly directory = "outbox") {}

  get path(): string {
    return join(this.root, this.directory);
  }

  open(changes: Partial<OutboxOptions> = {}): Outbox {
    const { clock, log } = this;
    return Outbox.open(
      {
        directory: this.path,
        host: "web1",
        command: "server",
        root: "/srv/app",
        readers: [readerOf("slack://ops")],
        ...changes,
      },
      { clock, log, onStep: (step) => void this.steps.push(step) },
    );
  }

  /** The notices' files. */
  files(): string[] {
    return readdirSync(this.path)
      .filter((name) => /^\d/.test(name))
      .sort();
  }

  [Symbol.dispose](): void {
    this.#dir[Symbol.dispose]();
  }
}

export function downloaded(tag: string): DeployEvent {
  return { kind: "downloaded", tag };
}

export function deployed(tag: string): DeployEvent {
  return { kind: "deployed", tag, fromTag: null, durationMs: 1, how: "started", hasPort: true };
}

/** What a reader is told from here on, as tags, or what else it is. */
export function drain(outbox: Outbox, key: string): string[] {
  const told: string[] = [];
  for (;;) {
    const notice = outbox.next(key);
    if (notice === null) return told;
    told.push(signOf(notice.event));
    outbox.done(key, notice);
  }
}

export function signOf(event: DeployEvent): string {
  if (event.kind === "dropped") return `dropped ${event.count}`;
  return "tag" in event && event.tag !== null ? event.tag : event.kind;
}
