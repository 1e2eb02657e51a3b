import { type DeployEvent, type HookResult, records, type Trouble } from "../events.ts";
import { duration, type Log } from "../log.ts";
import { onError, onSettled, onWell, troubleOf, withRun } from "../notify/limiter.ts";
import type { TroubleFile } from "../notify/limiter-file.ts";
import { messageOf as textOf } from "../notify/message.ts";
import type { NoticeOrigin, Outbox } from "../notify/outbox.ts";
import type { DeployRecord } from "../release/release.ts";
import type { Mask } from "../util/mask.ts";
import type { Clock } from "../util/time.ts";

/** The record that accompanies an event's notification, where the log has one. */
const notices: Partial<Record<DeployEvent["kind"], string>> = {
  "agent-started": records.startNotice,
  "agent-stopping": records.shutdownNotice,
  downloaded: records.downloadNotice,
  pulled: records.pullNotice,
  restarted: records.restartNotice,
};

export interface AnnouncerDeps {
  readonly outbox: Pick<Outbox, "add" | "hasTold">;
  readonly troubles: Pick<TroubleFile, "get" | "set">;
  readonly clock: Pick<Clock, "now">;
  readonly log: Log;
  /** Hooks print what they like, their environment too, in which dewy's secrets are. */
  readonly mask: Mask;
}

/** What belongs to an event, but not to what people read. */
export interface Telling extends NoticeOrigin {
  /** Whoever tells it does so once for each reason: it stands in no row of errors. */
  readonly once?: boolean;
  /** Takes a hook's result instead of people, who may be told of it later. */
  readonly keep?: (event: DeployEvent) => void;
}

/** Tells people and the log. People are told by way of the outbox: no service is waited for, and none fails a deploy. */
export class Announcer {
  constructor(private readonly deps: AnnouncerDeps) {}

  /** On disk when it returns; errors only as far as the limiter lets them. */
  tell(event: DeployEvent, telling: Telling = {}): void {
    const { log } = this.deps;
    const record = noticeOf(event);
    if (record !== undefined) log.info(record, { message: textOf(event) });
    if (event.kind === "pulled") log.debug(records.pullNoticeOriginal, { message: textOf(event) });
    const trouble = telling.once === true ? null : troubleOf(event);
    if (trouble === null) this.#send(event, telling);
    else this.#tellError(event, trouble, telling);
  }

  #tellError(event: DeployEvent, trouble: Trouble, telling: Telling): void {
    const { log, troubles, clock } = this.deps;
    const { state, run } = onError(troubles.get(trouble), trouble, clock.now());
    if (run === null) log.debug("Notification held back", { message: textOf(event) });
    else this.#send(withRun(event, run), telling);
    // Last: an agent that dies in between tells it again rather than never.
    troubles.set(trouble, state);
  }

  /** Whether another error of this kind would not be told. */
  holdsBack(trouble: Trouble): boolean {
    const { troubles, clock } = this.deps;
    return onError(troubles.get(trouble), trouble, clock.now()).run === null;
  }

  /** What may have been in trouble is well; when it was, people are told, now or when it has been calm. */
  well(trouble: Trouble): void {
    const { troubles, clock, log } = this.deps;
    const { state, recovered } = onWell(troubles.get(trouble), trouble, clock.now());
    if (recovered !== null) {
      log.info("Recovered", { message: textOf(recovered) });
      this.#send(recovered, {});
    }
    troubles.set(trouble, state);
  }

  /** Told whatever else is held back, and one of the app's errors: people hear of their end. */
  stranded(event: Extract<DeployEvent, { kind: "stranded" }>): void {
    const { troubles, clock } = this.deps;
    this.#send(event, {});
    troubles.set("app", onError(troubles.get("app"), "app", clock.now(), true).state);
  }

  /** A release is given up: its errors are over, though nothing has become well. */
  quarantined(event: Extract<DeployEvent, { kind: "quarantined" }>, telling: Telling): void {
    this.tell(event, telling);
    this.settled("deploy");
  }

  /** Its errors are over because nobody wants any more what failed; nothing has become well. */
  settled(trouble: Trouble): void {
    const { troubles } = this.deps;
    troubles.set(trouble, onSettled(troubles.get(trouble)));
  }

  /** A deploy whose agent died before it could tell. */
  catchUp(record: DeployRecord, hasPort: boolean, thread: string | null = null): void {
    const { id, command, tag, fromTag, durationMs, result, error } = record;
    if (result === "failed" || this.deps.outbox.hasTold(id)) return;
    if (result === "rolled-back") {
      const reason = error ?? "it failed";
      this.tell({ kind: "rolled-back", tag, fromTag: fromTag ?? "", reason }, { deploy: id, thread });
      return;
    }
    const how = (
      { assets: "placed", container: "rolled", server: fromTag === null ? "started" : "restarted" } as const
    )[command];
    this.tell({ kind: "deployed", tag, fromTag, durationMs, how, hasPort }, { deploy: id, thread });
  }

  /** A hook's record, and its failure's by the name of the phase. */
  hook(hook: "before" | "after", printed: HookResult, telling: Telling): void {
    const { log, mask } = this.deps;
    const result = {
      ...printed,
      command: mask(printed.command),
      stdout: mask(printed.stdout),
      stderr: mask(printed.stderr),
    };
    const attributes = {
      command: result.command,
      stdout: result.stdout,
      stderr: result.stderr,
      exit_code: result.exitCode ?? -1,
      duration: duration(result.durationMs),
    };
    if (result.exitCode === 0) {
      log.info(records.hook, attributes);
    } else {
      log.error(records.hookFailed, attributes);
      const failed = hook === "before" ? records.beforeHookFailed : records.afterHookFailed;
      log.error(failed, { error: describeFailure(result), exit_code: result.exitCode ?? -1 });
    }
    const event: DeployEvent = { kind: "hook", hook, result };
    if (telling.keep === undefined) this.tell(event, telling);
    else {
      log.debug("Notification held back", { message: textOf(event) });
      telling.keep(event);
    }
  }

  #send(event: DeployEvent, { thread = null, deploy = null }: Telling): void {
    this.deps.outbox.add(event, { thread, deploy });
  }
}

function noticeOf(event: DeployEvent): string | undefined {
  if (event.kind !== "deployed") return notices[event.kind];
  if (event.how === "placed" || event.how === "rolled") return undefined;
  return event.how === "restarted" ? records.restartNotice : records.serverStartNotice;
}

export function describeFailure(result: HookResult): string {
  if (result.timedOut) return "the hook was killed at its deadline";
  return result.exitCode === null
    ? "the hook was killed"
    : `command failed with exit code ${result.exitCode}`;
}
