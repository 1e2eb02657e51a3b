import type { DeployEvent } from "../../events.ts";
import { unreachable } from "../../util/assert.ts";
import { messageOf } from "../message.ts";
import type { Notice } from "../notice.ts";
import { oneLine, printed, tailOf } from "../plain.ts";
import { type Severity, severityOf } from "../severity.ts";
import { discordBody, slackBody, teamsBody } from "./chat.ts";
import type { WebhookFormat } from "./url.ts";

/**
 * What `format=json` posts, `Content-Type: application/json; charset=utf-8`. Fields may be added, also kinds of events;
 * one that changed its meaning would come with another `schema`.
 */
export interface WebhookNotice {
  readonly schema: "dewy.notice/1";
  /** The same when it is sent again, and in the order of the events: sorts as text. Also in X-Dewy-Id. */
  readonly id: string;
  /** When it happened, ISO 8601 in UTC. */
  readonly at: string;
  readonly host: string;
  /** `server`, `assets` or `container`. */
  readonly command: Notice["command"];
  /** The agent's root directory on the host. */
  readonly root: string;
  readonly severity: Severity;
  /** One plain line for people. */
  readonly text: string;
  /** `kind` says which fields it has; durations in milliseconds. A hook's output is cut to its last 8,000 characters. */
  readonly event: DeployEvent;
}

const mostOutput = 8_000;

/** The bytes that are posted; the same for the same notice. */
export function webhookBody(notice: Notice, format: WebhookFormat): string {
  switch (format) {
    case "json":
      return JSON.stringify(webhookNotice(notice));
    case "slack":
      return JSON.stringify(slackBody(notice));
    case "discord":
      return JSON.stringify(discordBody(notice));
    case "teams":
      return JSON.stringify(teamsBody(notice));
    default:
      return unreachable(format);
  }
}

function webhookNotice(notice: Notice): WebhookNotice {
  const { id, at, host, command, root, event } = notice;
  return {
    schema: "dewy.notice/1",
    id,
    at,
    host,
    command,
    root,
    severity: severityOf(event),
    text: oneLine(messageOf(event)),
    event: presented(event),
  };
}

function presented(event: DeployEvent): DeployEvent {
  if ("durationMs" in event) return { ...event, durationMs: Math.round(event.durationMs) };
  if (event.kind !== "hook") return event;
  const { stdout, stderr } = event.result;
  const short = (text: string) => tailOf(printed(text), mostOutput);
  const durationMs = Math.round(event.result.durationMs);
  return { ...event, result: { ...event.result, stdout: short(stdout), stderr: short(stderr), durationMs } };
}
