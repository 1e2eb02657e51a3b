import type { DeployEvent } from "../../events.ts";
import { messageOf } from "../message.ts";
import { clean } from "../plain.ts";

/**
 * Slack's mark-up (https://docs.slack.dev/messaging/formatting-message-text). Whatever comes from outside, a tag, a
 * hook's output, a server's words, passes through here, so that it can neither mention people nor make links.
 */

const entities: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;" };
/** Looks the same, and begins no code. Slack knows no escape for the real one. */
const backQuote = "\u02cb";

type End = "head" | "tail";

/** Text from outside as plain text. */
export function escaped(text: string): string {
  return [...clean(text)].map(escapedChar).join("");
}

/** The same, of which at most `limit` characters (UTF-16, escaped) are kept; an ellipsis stands for the rest. */
export function clipped(text: string, limit: number, keep: End): string {
  const chars = [...clean(text)].map(escapedChar);
  if (chars.reduce((sum, { length }) => sum + length, 0) <= limit) return chars.join("");
  if (keep === "tail") chars.reverse();
  const kept: string[] = [];
  let room = limit - 1;
  for (const char of chars) {
    room -= char.length;
    if (room < 0) break;
    kept.push(char);
  }
  return keep === "tail" ? `…${kept.reverse().join("")}` : `${kept.join("")}…`;
}

/** A name in back-quotes, in one line. */
export function code(name: string): string {
  const line = clipped(name.replace(/\s+/g, " ").trim(), 200, "head");
  // Two back-quotes with nothing between are just that.
  return line === "" ? "" : `\`${line}\``;
}

/** Lines as they are, at most `limit` characters with the fences; empty for nothing. */
export function codeBlock(text: string, limit: number, keep: End): string {
  const fence = "```";
  const body = clipped(text.trim(), limit - 2 * (fence.length + 1), keep);
  return body === "" ? "" : `${fence}\n${body}\n${fence}`;
}

/** `url` is a web address as URL.href writes it. */
export function link(url: string, label: string): string {
  const target = url.replaceAll("|", "%7C").replace(/[&<>]/g, escapedChar);
  return `<${target}|${clipped(label.replace(/\s+/g, " "), 150, "head")}>`;
}

/** The reader's own time; Slack does without its seconds. */
export function date(at: string): string {
  const ms = Date.parse(at);
  if (Number.isNaN(ms)) return escaped(at);
  const fallback = new Date(ms).toISOString().replace(/\.\d+Z$/, "Z");
  return `<!date^${Math.floor(ms / 1000)}^{date_num} {time_secs}|${fallback}>`;
}

/** The event's line in message.ts, marked up: `*Dewy*`, tags and signals in back-quotes. */
export function lineOf(event: DeployEvent, limit: number): string {
  return markedUp(plainOf(event), marksOf(event), limit);
}

/** The same without its reason and its number in a row, where those are told apart. */
export function headlineOf(event: DeployEvent, limit: number): string {
  const { run, ...bare } = "run" in event ? event : { ...event, run: undefined };
  const plain = plainOf(bare);
  const end = hasReason(event) ? plain.indexOf(": ") : -1;
  return markedUp(end < 0 ? plain : plain.slice(0, end), marksOf(event), limit);
}

const reasoned: ReadonlySet<DeployEvent["kind"]> = new Set([
  "failed",
  "quarantined",
  "rolled-back",
  "stranded",
  "crashed",
  "replica-lost",
]);

function hasReason({ kind }: DeployEvent): boolean {
  return reasoned.has(kind);
}

/** The reason of a stop has back-quotes of its own, which are ours. */
function plainOf(event: DeployEvent): string {
  return event.kind === "agent-stopping" ? messageOf(event).replaceAll("`", "") : messageOf(event);
}

/** What in an event's line is marked up, and how. */
function marksOf(event: DeployEvent): ReadonlyMap<string, string> {
  if (event.kind === "agent-started") return new Map([["Dewy", "*Dewy*"]]);
  const signal =
    event.kind === "agent-stopping" ? /\bby (\w+) signal\b/.exec(event.reason.replaceAll("`", "")) : null;
  const names = [
    signal?.[1],
    "signal" in event ? event.signal : null,
    "tag" in event ? event.tag : null,
    "fromTag" in event ? event.fromTag : null,
    "servingTag" in event ? event.servingTag : null,
    "container" in event ? event.container : null,
  ];
  return new Map(names.flatMap((name) => (name ? [[name, code(name)] as const] : [])));
}

/** Only whole names: `v1.2` is not part of `v1.2.3`. Cut before it is marked up, so that no mark is cut in two. */
function markedUp(plain: string, marks: ReadonlyMap<string, string>, limit: number): string {
  if (marks.size === 0) return clipped(plain, limit, "head");
  const names = [...marks.keys()].sort((a, b) => b.length - a.length).map((name) => RegExp.escape(name));
  const whole = new RegExp(`(?<![\\w.+~-])(${names.join("|")})(?![\\w+~-]|\\.\\w)`, "g");
  let line = "";
  // The names are at the odd places.
  for (const [index, part] of plain.split(whole).entries()) {
    const mark = index % 2 === 1 ? marks.get(part) : undefined;
    const piece = mark ?? escaped(part);
    if (line.length + piece.length < limit) line += piece;
    else return `${line}${mark === undefined ? clipped(part, limit - line.length, "head") : "…"}`;
  }
  return line;
}

function escapedChar(char: string): string {
  if (char === "`") return backQuote;
  return entities[char] ?? char;
}
