import { messageOf } from "../errors.ts";
import { type DeployEvent, type HookResult, records } from "../events.ts";
import { duration, type Log } from "../log.ts";
import { messageOf as textOf } from "../notify/message.ts";
import type { Notifier } from "../notify/notifier.ts";
import { abortable, type Call, withDeadline } from "../util/async.ts";

const notifyDeadlineMs = 30_000;

/** The record that accompanies an event's notification, where the log has one. */
const notices: Partial<Record<DeployEvent["kind"], string>> = {
  "agent-started": records.startNotice,
  "agent-stopping": records.shutdownNotice,
  downloaded: records.downloadNotice,
  pulled: records.pullNotice,
  restarted: records.restartNotice,
};

/** Tells people and the log. A notifier that fails never fails a deploy. */
export class Announcer {
  constructor(
    private readonly notifier: Notifier,
    private readonly log: Log,
  ) {}

  async tell(event: DeployEvent, c: Call): Promise<void> {
    const record = noticeOf(event);
    if (record !== undefined) this.log.info(record, { message: textOf(event) });
    if (event.kind === "pulled") this.log.debug(records.pullNoticeOriginal, { message: textOf(event) });
    try {
      const call = withDeadline(c, notifyDeadlineMs);
      await abortable(this.notifier.notify(event, call), call.signal);
    } catch (error) {
      if (c.signal.aborted) return;
      this.log.warn("Notification failed", { error: messageOf(error) });
    }
  }

  /** A hook's record, and its failure's by the name of the phase. */
  async hook(hook: "before" | "after", result: HookResult, c: Call): Promise<void> {
    const ok = result.exitCode === 0;
    const attributes = {
      command: result.command,
      stdout: result.stdout,
      stderr: result.stderr,
      exit_code: result.exitCode ?? -1,
      duration: duration(result.durationMs),
    };
    if (ok) {
      this.log.info(records.hook, attributes);
    } else {
      this.log.error(records.hookFailed, attributes);
      const failed = hook === "before" ? records.beforeHookFailed : records.afterHookFailed;
      this.log.error(failed, { error: describeFailure(result), exit_code: result.exitCode ?? -1 });
    }
    await this.tell({ kind: "hook", hook, result }, c);
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
