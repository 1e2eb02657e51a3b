import type { DeployEvent } from "../../events.ts";
import { unreachable } from "../../util/assert.ts";
import { detailsOf } from "../details.ts";
import { messageOf } from "../message.ts";
import type { Notice } from "../notice.ts";
import { headOf, oneLine } from "../plain.ts";

/** A notice as a mail, without sender and recipients. */
export interface MailMessage {
  readonly subject: string;
  readonly text: string;
  /** In angle brackets; the same for the same notice, so that readers show one that came twice once. */
  readonly messageId: string;
  readonly date: Date;
  readonly headers: Readonly<Record<string, string>>;
}

/** RFC 5322 §2.1.1 asks for lines of 78 characters; a subject may be folded, but is read in lists. */
const mostSubject = 200;
const mostOutput = 8_000;

/**
 * The subject is the configured one, then what happened to what and where: `Dewy Notification: v1.2.3 deployed on
 * web-1`, so that rules which look for the configured words keep working. The text is the message in its plain
 * wording, the facts one a line, and a hook's output.
 */
export function mailMessage(notice: Notice, subject: string): MailMessage {
  const { host, event } = notice;
  return {
    subject: headOf(oneLine(`${subject}: ${outcomeOf(event)} on ${host}`), mostSubject),
    text: textOf(notice),
    messageId: messageIdOf(notice),
    date: new Date(notice.at),
    headers: {
      // RFC 3834: keeps holiday answers away.
      "Auto-Submitted": "auto-generated",
    },
  };
}

function textOf(notice: Notice): string {
  const { facts, outputs } = detailsOf(notice, mostOutput);
  const width = Math.max(...facts.map(([label]) => label.length)) + 2;
  return [
    oneLine(messageOf(notice.event)),
    "",
    ...facts.map(([label, value]) => `${`${label}:`.padEnd(width)}${value}`),
    ...outputs.flatMap(({ title, text }) => ["", `${title}:`, text]),
    "",
  ].join("\n");
}

/** What happened to what, in a few words. */
function outcomeOf(event: DeployEvent): string {
  switch (event.kind) {
    case "agent-started":
      return "dewy started";
    case "agent-stopping":
      return "dewy is stopping";
    case "deploying":
      return `deploying ${event.tag}`;
    case "downloaded":
    case "pulled":
    case "deployed":
    case "quarantined":
      return `${event.tag} ${event.kind}`;
    case "rolled-back":
      return `went back from ${event.fromTag} to ${event.tag}`;
    case "stranded":
      return `${event.tag} should be left, and can't be`;
    case "hook":
      return `${event.hook} deploy hook ${event.result.exitCode === 0 ? "succeeded" : "failed"}`;
    case "restarted":
      return "server restarted";
    case "failed":
      return event.tag === null ? "check failed" : `deploy of ${event.tag} failed`;
    case "crashed":
      return `server of ${event.tag ?? "unknown version"} died`;
    case "replica-lost":
      return `container of ${event.tag} lost`;
    case "recovered":
      return `recovered (${event.trouble})`;
    case "dropped":
      return "notices dropped";
    default:
      return unreachable(event);
  }
}

/** RFC 5322 §3.6.4. Two agents of a host tell of different things, even if their notices had the same id. */
function messageIdOf({ id, host, root }: Notice): string {
  const hash = new Bun.CryptoHasher("sha256").update(JSON.stringify([host, root, id])).digest("hex");
  const domain = host.replace(/[^A-Za-z0-9-]+/g, "-").replace(/^-+|-+$/g, "");
  return `<dewy.${hash.slice(0, 32)}@${domain === "" ? "localhost" : headOf(domain, 60)}>`;
}
