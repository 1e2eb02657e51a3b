import type { DeployEvent, ErrorRun, Trouble } from "../events.ts";
import { unreachable } from "../util/assert.ts";
import { roughDuration } from "../util/time.ts";

/** An event in one plain line, worded as the compatibility sheet has it. */
export function messageOf(event: DeployEvent): string {
  const text = plainText(event);
  return "run" in event && event.run !== undefined ? counted(text, event.run) : text;
}

const ends = {
  over: "No more error notifications until it is over",
  calm: "It comes and goes. No more error notifications until it has been calm for a while",
} as const;

function counted(text: string, { count, lastUntil }: ErrorRun): string {
  const end = lastUntil === null ? "" : `${/[.!?]$/.test(text) ? "" : "."} ${ends[lastUntil]}`;
  return `Error occurred (count: ${count}): ${text}${end}`;
}

function plainText(event: DeployEvent): string {
  switch (event.kind) {
    case "agent-started":
      return `Automatic shipping started by Dewy (${event.version}: ${event.command})`;
    case "agent-stopping":
      return event.reason;
    case "deploying":
      return `Deploying ${event.tag} (${event.command})`;
    case "downloaded":
      return `Downloaded artifact for ${event.tag}`;
    case "pulled":
      return `Pulled image for ${event.tag}`;
    case "deployed":
      return `${completion(event)}${journey(event)}`;
    case "hook":
      return hookLine(event);
    case "restarted":
      return `Restarted receiving by ${event.signal} signal`;
    case "failed":
      return failure(event);
    case "quarantined":
      return quarantined(event);
    case "rolled-back":
      return `Went back from ${event.fromTag} to ${event.tag}: ${event.reason}. ${event.fromTag} is not tried again until it changes or dewy retry is run`;
    case "stranded":
      return `${event.tag} should be left, and can't be: ${event.reason}. ${event.why}. ${event.tag} stays, and is started again whenever it ends; ${event.hint}`;
    case "crashed":
      return `Server of ${event.tag ?? "unknown version"} died: ${event.reason}. Next start ${nextIn(event.delayMs)}`;
    case "replica-lost":
      return replicaLost(event);
    case "recovered":
      return recovered(event);
    case "dropped":
      return event.count === 1 ? "1 notice was dropped" : `${event.count} notices were dropped`;
    default:
      return unreachable(event);
  }
}

/** When something is done again. */
export function nextIn(delayMs: number): string {
  return delayMs > 0 ? `in ${roughDuration(delayMs)}` : "now";
}

function replicaLost(event: Extract<DeployEvent, { kind: "replica-lost" }>): string {
  const { how, tag, container, unit = "container", reason, delayMs } = event;
  const next = nextIn(delayMs);
  if (how === "not-started") return `A ${unit} of ${tag} did not start: ${reason}. Next try ${next}`;
  const what = how === "died" ? "died" : "fails its checks";
  const subject = unit === "process" ? "Process" : "Container";
  return `${subject} ${container} of ${tag} ${what}: ${reason}. It is replaced ${next}`;
}

type Deployed = Extract<DeployEvent, { kind: "deployed" }>;

function completion(event: Deployed): string {
  if (event.how === "placed") return `Assets placed for ${event.tag}`;
  if (event.how === "rolled") return `Container deployed successfully for ${event.tag}`;
  return `Server ${event.how} for ${event.tag}${event.hasPort ? "" : " without port"}`;
}

function journey(event: Deployed): string {
  const from = event.fromTag === null ? "" : `${event.fromTag} → ${event.tag}, `;
  return ` (${from}${roughDuration(event.durationMs)})`;
}

function hookLine(event: Extract<DeployEvent, { kind: "hook" }>): string {
  const { exitCode, timedOut, durationMs } = event.result;
  const took = roughDuration(durationMs);
  if (exitCode === 0) return `The ${event.hook} deploy hook succeeded in ${took}`;
  const how = timedOut ? "timed out" : exitCode === null ? "was killed" : `failed with exit code ${exitCode}`;
  return `The ${event.hook} deploy hook ${how} after ${took}`;
}

function failure(event: Extract<DeployEvent, { kind: "failed" }>): string {
  const serving =
    event.servingTag === null ? "nothing is deployed yet" : `${event.servingTag} stays in place`;
  const what = event.tag === null ? "Check failed" : `Deploy of ${event.tag} failed`;
  return `${what}: ${event.message} (${serving})${event.hint === null ? "" : `; ${event.hint}`}`;
}

function quarantined({ tag, reason, servingTag }: Extract<DeployEvent, { kind: "quarantined" }>): string {
  const serving = servingTag ? ` (${servingTag} stays in place)` : "";
  return `Quarantined ${tag}: its deploy failed: ${reason}${serving}. It is not tried again until it changes or dewy retry is run`;
}

const well: Readonly<Record<Trouble, string>> = {
  check: "checks pass again",
  deploy: "deploys work again",
  app: "the app runs again",
};

function recovered(event: Extract<DeployEvent, { kind: "recovered" }>): string {
  const { trouble, errors, heldBack, outages, durationMs } = event;
  const times = outages > 1 ? ` (it came and went ${outages} times)` : "";
  const held = heldBack === 0 ? "" : `, ${heldBack} of them held back`;
  const many = `${errors} ${errors === 1 ? "error" : "errors"}`;
  return `Recovered: ${well[trouble]} after ${roughDuration(durationMs)}${times}: ${many}${held}`;
}
