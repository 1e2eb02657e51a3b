import type { DeployEvent } from "../events.ts";
import { unreachable } from "../util/assert.ts";
import { roughDuration } from "../util/time.ts";
import { nextIn } from "./message.ts";
import type { Notice } from "./notice.ts";
import { oneLine, printed, tailOf } from "./plain.ts";

/** What there is to know about a notice beside its message. */
export interface Details {
  /** Label and value, each on one line. */
  readonly facts: readonly (readonly [label: string, value: string])[];
  readonly outputs: readonly Output[];
}

/** What a hook printed, cut to its end. */
export interface Output {
  readonly title: string;
  readonly text: string;
}

type Fact = readonly [label: string, value: string | null];

/** `mostOutput`: UTF-16 units of each output. */
export function detailsOf(notice: Notice, mostOutput: number): Details {
  const { event, host, root, command, at } = notice;
  const facts: readonly Fact[] = [
    ["Host", host],
    ...factsOf(event),
    ["Directory", root],
    ["Command", command],
    ["Time", at],
  ];
  return {
    facts: facts.flatMap(([label, value]) => (value ? [[label, oneLine(value)] as const] : [])),
    outputs: event.kind === "hook" ? outputsOf(event.result, mostOutput) : [],
  };
}

function factsOf(event: DeployEvent): readonly Fact[] {
  switch (event.kind) {
    case "agent-started":
      return [["Dewy's version", event.version]];
    case "agent-stopping":
      return [["Reason", event.reason]];
    case "deploying":
    case "downloaded":
    case "pulled":
      return [["Version", event.tag]];
    case "deployed":
      return [
        ["Version", journeyOf(event)],
        ["Took", took(event.durationMs)],
      ];
    case "hook":
      return hookFacts(event);
    case "restarted":
      return [["Signal", event.signal]];
    case "failed":
      return failureFacts(event);
    case "quarantined":
      return quarantineFacts(event);
    case "rolled-back":
      return [
        ["Version", `${event.fromTag} → ${event.tag}`],
        ["Reason", event.reason],
        ["What dewy did", `put ${event.tag} back, and ${event.fromTag} aside`],
        ["What to do", "publish a new version, or run dewy retry"],
      ];
    case "stranded":
      return [
        ["Version", event.tag],
        ["Reason", event.reason],
        ["Not left", event.why],
        ["What dewy does", "keeps it, and starts it again whenever it ends"],
        ["What to do", event.hint],
      ];
    case "crashed":
      return [
        ["Version", event.tag],
        ["Reason", event.reason],
        ["What dewy does", `starts it again ${nextIn(event.delayMs)}`],
      ];
    case "replica-lost":
      return replicaFacts(event);
    case "recovered":
      return [
        ["Errors", String(event.errors)],
        ["Held back", event.heldBack === 0 ? null : String(event.heldBack)],
        ["Lasted", took(event.durationMs)],
      ];
    case "dropped":
      return [["What to do", "look into dewy's log and `dewy status` for what happened meanwhile"]];
    default:
      return unreachable(event);
  }
}

function journeyOf({ fromTag, tag }: Extract<DeployEvent, { kind: "deployed" }>): string {
  return fromTag === null ? tag : `${fromTag} → ${tag}`;
}

function failureFacts(event: Extract<DeployEvent, { kind: "failed" }>): readonly Fact[] {
  const { tag, message, servingTag, hint } = event;
  return [
    ["Version", tag],
    ["Reason", message],
    ["What dewy did", servingTag === null ? null : `kept ${servingTag} in place`],
    ["What to do", hint],
  ];
}

function quarantineFacts(event: Extract<DeployEvent, { kind: "quarantined" }>): readonly Fact[] {
  return [
    ["Version", event.tag],
    ["Digest", event.digest],
    ["Reason", event.reason],
    ["What dewy did", `${keptText(event.servingTag)}put it aside: it is not tried again by itself`],
    ["What to do", `${event.hint ? `${event.hint}; ` : ""}publish a new version, or run dewy retry`],
  ];
}

function keptText(servingTag: string | null | undefined): string {
  return servingTag ? `kept ${servingTag} in place, ` : "";
}

function replicaFacts(event: Extract<DeployEvent, { kind: "replica-lost" }>): readonly Fact[] {
  const { tag, container, unit, reason, delayMs } = event;
  return [
    ["Version", tag],
    [unit === "process" ? "Process" : "Container", container],
    ["Reason", reason],
    ["What dewy does", `starts another one ${nextIn(delayMs)}`],
  ];
}

function hookFacts({ hook, result }: Extract<DeployEvent, { kind: "hook" }>): readonly Fact[] {
  const { command, exitCode, durationMs } = result;
  return [
    ["Hook", `${hook} deploy: ${command}`],
    ["Exit code", exitCode === null ? null : String(exitCode)],
    ["Took", took(durationMs)],
  ];
}

function outputsOf(
  result: Extract<DeployEvent, { kind: "hook" }>["result"],
  most: number,
): readonly Output[] {
  const named = [
    ["Output", result.stdout],
    ["Errors", result.stderr],
  ] as const;
  return named
    .map(([title, text]) => ({ title, text: tailOf(printed(text), most) }))
    .filter(({ text }) => text !== "");
}

function took(ms: number): string {
  return roughDuration(ms);
}
