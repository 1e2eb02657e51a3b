import type { Command, DeployEvent } from "../events.ts";
import type { Log } from "../log.ts";
import type { Clock } from "../util/time.ts";
import { Cursors } from "./cursors.ts";
import type { Notice } from "./notice.ts";
import { idBehind, nextNoticeId, noId } from "./notice-id.ts";
import { type OutboxLimits, outboxLimits, toDrop } from "./outbox-bound.ts";
import { type Entry, entryOf, foundEntry, type OutboxReader } from "./outbox-entry.ts";
import { OutboxFiles } from "./outbox-files.ts";

export interface OutboxOptions {
  readonly directory: string;
  readonly host: string;
  readonly command: Command;
  /** The agent's root directory. */
  readonly root: string;
  readonly readers: readonly OutboxReader[];
  readonly limits?: OutboxLimits;
}

interface OutboxDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly onStep: (step: OutboxStep) => void;
}

/** The points at which a notice is on its way, for tests that stop the agent there. */
export type OutboxStep = "adding" | "added" | "recorded" | "cleared";

export interface NoticeOrigin {
  /** The Slack thread that the release brought along. */
  readonly thread?: string | null;
  /** The deploy record's id, of the notice that tells its success. */
  readonly deploy?: string | null;
}

/** For a filter to look at. */
const anySuccess: DeployEvent = {
  kind: "deployed",
  tag: "",
  fromTag: null,
  durationMs: 0,
  how: "placed",
  hasPort: false,
};

/**
 * What people are to be told, on disk until every notifier has taken it. Each reads at its own pace. Nothing here
 * throws or waits: a disk that fails costs durability, never a deploy.
 */
export class Outbox {
  readonly #files: OutboxFiles;
  readonly #limits: OutboxLimits;
  /** Oldest first. */
  #entries: Entry[] = [];
  readonly #cursors: Cursors;
  /** What each notifier is being sent right now; that is not dropped any more. */
  readonly #inFlight = new Map<string, string>();
  #lastId = noId;
  #added = Promise.withResolvers<void>();

  private constructor(
    private readonly options: OutboxOptions,
    private readonly deps: OutboxDeps,
  ) {
    this.#files = new OutboxFiles(options.directory, deps.log);
    this.#cursors = new Cursors(this.#files);
    this.#limits = options.limits ?? outboxLimits;
  }

  /** With what an earlier agent left. A notifier that is new begins with what comes from now on. */
  static open(options: OutboxOptions, deps: OutboxDeps): Outbox {
    const outbox = new Outbox(options, deps);
    outbox.#load();
    return outbox;
  }

  /** Whether that deploy's success is told or waits to be; also when no notifier is, or was, there that wants to know. */
  hasTold(deploy: string): boolean {
    const nobody = !this.options.readers.some(({ wants }) => wants(anySuccess));
    return nobody || this.#cursors.isNew || this.#entries.some((entry) => entry.deploy === deploy);
  }

  /** Durable when it returns, unless the disk does not take it. */
  add(event: DeployEvent, { thread = null, deploy = null }: NoticeOrigin = {}): void {
    const { host, command, root, readers } = this.options;
    if (!readers.some(({ wants }) => wants(event))) return;
    const now = this.deps.clock.now();
    this.#lastId = nextNoticeId(this.#lastId, now);
    const notice = { id: this.#lastId, at: now.toISOString(), host, command, root, thread, event };
    this.deps.onStep("adding");
    const entry: Entry = { ...entryOf(notice, deploy, readers), unwritten: notice };
    this.#entries.push(entry);
    this.#makeRoom(now);
    if (this.#entries.includes(entry)) this.#write(entry, notice);
    this.deps.onStep("added");
    this.#clear();
    this.#added.resolve();
    this.#added = Promise.withResolvers();
  }

  /**
   * The next notice for this notifier; null: it has had them all. The same one until done() is told of it. Throws a
   * retryable DewyError while its file can't be read.
   */
  next(key: string): Notice | null {
    for (;;) {
      const { sent, dropped } = this.#cursors.of(key);
      const entry = this.#entries.find(({ id, wantedBy }) => id > sent && wantedBy.has(key));
      if (dropped > 0) return this.#droppedNotice(key, dropped);
      if (entry === undefined) return null;
      const stored = entry.unwritten === null ? this.#files.read(entry.id) : null;
      const notice = entry.unwritten ?? stored?.notice ?? null;
      if (notice === null) {
        this.deps.log.warn("Notice lost: its file is gone or damaged", { id: entry.id });
        this.#entries = this.#entries.filter((other) => other !== entry);
      } else if (entry.unread) {
        // Only now it shows who wants it.
        const known = entryOf(notice, stored?.deploy ?? null, this.options.readers);
        this.#entries = this.#entries.map((other) => (other === entry ? known : other));
      } else {
        this.#inFlight.set(key, entry.id);
        return notice;
      }
    }
  }

  /** It has taken the notice, or never will: on disk when this returns, so that it does not get it again. */
  done(key: string, { id, event }: Notice): void {
    const cursor = this.#cursors.of(key);
    if (event.kind === "dropped") {
      const dropped = Math.max(0, cursor.dropped - event.count);
      this.#cursors.set(key, { ...cursor, dropped, droppedTold: cursor.droppedTold + 1 });
    } else this.#cursors.set(key, { ...cursor, sent: id });
    this.#inFlight.delete(key);
    this.deps.onStep("recorded");
    this.#clear();
    this.deps.onStep("cleared");
  }

  /** How many notices wait for this notifier. */
  waiting(key: string): number {
    const { sent } = this.#cursors.of(key);
    return this.#entries.filter(({ id, wantedBy }) => id > sent && wantedBy.has(key)).length;
  }

  /** Resolves at the next notice that is added. */
  added(): Promise<void> {
    return this.#added.promise;
  }

  #load(): void {
    const { readers } = this.options;
    const { notices, cursors } = this.#files.load({ make: readers.length > 0 });
    const ids = [...notices.map(({ id }) => id), ...cursors.map(({ cursor }) => cursor.sent)];
    this.#lastId = ids.sort().at(-1) ?? noId;
    this.#cursors.load(readers, cursors, this.#lastId, this.deps.clock.now());
    this.#entries = notices.map((found) => foundEntry(found, readers));
    this.#clear();
  }

  /** And what the disk did not take before. */
  #write(entry: Entry, notice: Notice): void {
    if (!this.#files.write({ notice, deploy: entry.deploy })) return;
    entry.unwritten = null;
    for (const other of this.#entries) {
      if (other.unwritten === null) continue;
      if (!this.#files.write({ notice: other.unwritten, deploy: other.deploy })) return;
      other.unwritten = null;
    }
  }

  #makeRoom(now: Date): void {
    this.#cursors.expire(now);
    const inFlight = new Set(this.#inFlight.values());
    const last = this.#lastSuccess();
    const isForAbsent = (entry: Entry) => !this.#cursors.isAwaitedHere(entry);
    const waiting = this.#entries.filter(
      (entry) =>
        this.#cursors.isAwaited(entry) && !inFlight.has(entry.id) && !(entry === last && isForAbsent(entry)),
    );
    const dropped = toDrop(waiting, this.#limits, isForAbsent);
    if (dropped.length === 0) return;
    this.#cursors.miss(dropped);
    this.#remove(dropped);
  }

  /** What all have had goes; of the deploys' successes the last stays, so that it is not told again (hasTold). */
  #clear(): void {
    const last = this.#lastSuccess();
    this.#remove(this.#entries.filter((entry) => entry !== last && !this.#cursors.isAwaited(entry)));
  }

  #lastSuccess(): Entry | undefined {
    return this.#entries.findLast(({ deploy }) => deploy !== null);
  }

  #remove(entries: readonly Entry[]): void {
    if (entries.length === 0) return;
    for (const { id } of entries) this.#files.remove(id);
    const gone = new Set(entries);
    this.#entries = this.#entries.filter((entry) => !gone.has(entry));
  }

  /** Told before what is left, where the gap is; the same id each time it is tried, and another one for the next gap. */
  #droppedNotice(key: string, count: number): Notice {
    const { host, command, root } = this.options;
    const { sent, droppedTold } = this.#cursors.of(key);
    return {
      id: idBehind(sent, [host, root, key, droppedTold].join("\0")),
      at: this.deps.clock.now().toISOString(),
      host,
      command,
      root,
      thread: null,
      event: { kind: "dropped", count },
    };
  }
}
