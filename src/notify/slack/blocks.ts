import type { DeployEvent, ErrorRun, HookResult } from "../../events.ts";
import { roughDuration } from "../../util/time.ts";
import { nextIn } from "../message.ts";
import type { Notice } from "../notice.ts";
import { clipped, code, codeBlock, date, headlineOf, lineOf, link } from "./text.ts";
import { toneOf } from "./tone.ts";

/** https://docs.slack.dev/reference/block-kit/composition-objects/text-object; verbatim: no link but what is marked so. */
export interface Mrkdwn {
  readonly type: "mrkdwn";
  readonly text: string;
  readonly verbatim: true;
}

export type SlackBlock =
  | { readonly type: "section"; readonly text: Mrkdwn }
  | { readonly type: "section"; readonly fields: readonly Mrkdwn[] }
  | { readonly type: "context"; readonly elements: readonly Mrkdwn[] };

export interface SlackAttachment {
  readonly color?: "good" | "warning" | "danger";
  readonly blocks: readonly SlackBlock[];
}

/** What a notice looks like. Where blocks are shown, `text` is for notifications and screen readers only. */
export interface SlackContent {
  readonly text: string;
  readonly blocks: readonly SlackBlock[];
  readonly attachments: readonly SlackAttachment[];
}

/** At the head of every message. */
export interface SlackTitle {
  readonly title: string | null;
  readonly titleUrl: string | null;
}

/** Slack takes 3,000 characters in a section, 2,000 in a field and 40,000 in all, but shows few of them at once. */
const limits = { text: 2500, headline: 1500, field: 500, reason: 2500, output: 2000, command: 500 } as const;

/** A notice as Slack shows it: a line, and beside a bar in its colour where, from what to what, why and what now. */
export function renderNotice(notice: Notice, title: SlackTitle): SlackContent {
  const { event } = notice;
  const head = headOf(title);
  const tone = toneOf(event);
  const { fields, sections } = detailsOf(event);
  const run = "run" in event ? event.run : undefined;
  const blocks: SlackBlock[] = [
    {
      type: "section",
      fields: [field("Host", clipped(notice.host, limits.field, "head")), ...fields, ...inARow(run)],
    },
    ...[...sections, ...lastWord(run)].map((text) => ({ type: "section", text: mrkdwn(text) }) as const),
    { type: "context", elements: [mrkdwn(contextOf(notice))] },
  ];
  return {
    text: `${head}${lineOf(event, limits.text)}`,
    blocks: [{ type: "section", text: mrkdwn(`${head}${headlineOf(event, limits.headline)}`) }],
    attachments: [{ ...(tone === null ? {} : { color: tone }), blocks }],
  };
}

/** `*<https://…|App>* · `; a link without a title is Dewy's. */
function headOf({ title, titleUrl }: SlackTitle): string {
  if (titleUrl !== null) return `*${link(titleUrl, title ?? "Dewy")}* · `;
  return title === null ? "" : `*${clipped(title.replace(/\s+/g, " "), 150, "head")}* · `;
}

/** When it happened, as it may arrive much later. */
function contextOf({ at, command, root }: Notice): string {
  return `dewy ${command} · ${clipped(root, 500, "tail")} · ${date(at)}`;
}

function inARow(run: ErrorRun | undefined): Mrkdwn[] {
  return run === undefined ? [] : [field("Errors in a row", String(run.count))];
}

function lastWord(run: ErrorRun | undefined): string[] {
  if (run === undefined || run.lastUntil === null) return [];
  const until = run.lastUntil === "over" ? "it is over" : "it has been calm for a while: it comes and goes";
  return [`No more error notifications until ${until}`];
}

interface Details {
  readonly fields: readonly Mrkdwn[];
  /** Mark-up, none of it empty. */
  readonly sections: readonly string[];
}

function detailsOf(event: DeployEvent): Details {
  switch (event.kind) {
    case "deployed":
      return details([
        field("Version", journey(event.fromTag, event.tag)),
        field("Duration", roughDuration(event.durationMs)),
      ]);
    case "deploying":
    case "downloaded":
    case "pulled":
      return details([field("Version", code(event.tag))]);
    case "hook":
      return hook(event.result);
    case "failed":
      return failed(event);
    case "quarantined":
      return quarantined(event);
    case "rolled-back":
      return wentBack(event);
    case "stranded":
      return details(
        [field("Version", code(event.tag))],
        [
          reason(event.reason),
          labelled("Why it stays", codeBlock(event.why, limits.reason, "head")),
          todo(event.hint),
        ],
      );
    case "crashed":
      return details(tagField(event.tag), [
        reason(event.reason),
        did(`The server is started again ${nextIn(event.delayMs)}`),
      ]);
    case "replica-lost":
      return replicaLost(event);
    case "recovered":
      return recovered(event);
    default:
      return details([]);
  }
}

function failed(event: Extract<DeployEvent, { kind: "failed" }>): Details {
  const { tag, servingTag, message, hint } = event;
  const kept = servingTag === null ? "Nothing is deployed yet" : `${code(servingTag)} stays in place`;
  const version = tag === null ? [] : [field("Version", journey(servingTag, tag))];
  return details(version, [reason(message), did(kept), todo(hint ?? "")]);
}

function quarantined(event: Extract<DeployEvent, { kind: "quarantined" }>): Details {
  const { tag, digest, servingTag, hint } = event;
  const kept = servingTag ? `${code(servingTag)} stays in place. ` : "";
  const fields = [field("Version", code(tag)), ...(digest === null ? [] : [field("Digest", code(digest))])];
  return details(fields, [
    reason(event.reason),
    did(`${kept}${code(tag)} is not tried again until it changes`),
    todo(hint ?? ""),
    "*What to do*\nPublish a corrected release, or run `dewy retry`",
  ]);
}

function wentBack({ tag, fromTag, reason: why }: Extract<DeployEvent, { kind: "rolled-back" }>): Details {
  return details(
    [field("Version", journey(fromTag, tag))],
    [
      reason(why),
      did(`${code(tag)} serves again. ${code(fromTag)} is not tried again until it changes`),
      "*What to do*\nPublish a corrected release, or run `dewy retry`",
    ],
  );
}

function replicaLost(event: Extract<DeployEvent, { kind: "replica-lost" }>): Details {
  const { tag, container, unit, delayMs, how } = event;
  const next = nextIn(delayMs);
  const what = how === "not-started" ? "The next one is tried" : "It is replaced";
  const fields =
    container === null ? [] : [field(unit === "process" ? "Process" : "Container", code(container))];
  return details([field("Version", code(tag)), ...fields], [reason(event.reason), did(`${what} ${next}`)]);
}

function recovered(event: Extract<DeployEvent, { kind: "recovered" }>): Details {
  const { errors, heldBack, outages, durationMs } = event;
  return details([
    field("Lasted", roughDuration(durationMs)),
    field("Errors", String(errors)),
    ...(heldBack === 0 ? [] : [field("Held back", String(heldBack))]),
    ...(outages < 2 ? [] : [field("Outages", String(outages))]),
  ]);
}

function hook(result: HookResult): Details {
  const { exitCode, timedOut, durationMs, command, stdout, stderr } = result;
  const ended = timedOut ? "timed out" : "killed";
  const fields = [
    field("Exit code", exitCode === null ? ended : String(exitCode)),
    field("Duration", roughDuration(durationMs)),
  ];
  return details(fields, [
    labelled("Command", codeBlock(command, limits.command, "head")),
    // What went wrong is at the end.
    labelled("Output", codeBlock(stdout, limits.output, "tail")),
    labelled("Errors", codeBlock(stderr, limits.output, "tail")),
  ]);
}

function details(fields: readonly Mrkdwn[], sections: readonly string[] = []): Details {
  return { fields, sections: sections.filter((section) => section !== "") };
}

function reason(text: string): string {
  return labelled("Reason", codeBlock(text, limits.reason, "head"));
}

function did(markup: string): string {
  return labelled("What dewy did", markup);
}

function todo(text: string): string {
  return labelled("What to do", clipped(text, limits.reason, "head"));
}

function labelled(label: string, markup: string): string {
  return markup === "" ? "" : `*${label}*\n${markup}`;
}

function tagField(tag: string | null): Mrkdwn[] {
  return tag === null ? [] : [field("Version", code(tag))];
}

function journey(from: string | null, to: string): string {
  return from === null || from === to ? code(to) : `${code(from)} → ${code(to)}`;
}

function field(label: string, markup: string): Mrkdwn {
  return mrkdwn(labelled(label, markup) || `*${label}*\n-`);
}

function mrkdwn(text: string): Mrkdwn {
  return { type: "mrkdwn", text, verbatim: true };
}
