import { detailsOf } from "../details.ts";
import { messageOf } from "../message.ts";
import type { Notice } from "../notice.ts";
import { headOf, oneLine, tailOf } from "../plain.ts";
import { type Severity, severityOf } from "../severity.ts";

/**
 * The least that each chat's incoming web hook takes. Whatever comes from outside, a tag, a hook's output, a server's
 * words, must neither mention people nor make links or mark-up.
 */

/** Slack shows 40,000 characters, Mattermost splits after 16,383; nobody reads so many. */
const mostSlack = 4_000;
/** https://docs.discord.com/developers/resources/webhook#execute-webhook; in UTF-16 units, which is never less. */
const mostDiscord = 2_000;
/** A card may have 28 KB as JSON. */
const mostTeams = 4_000;
/** As long as the worst escapes (`&amp;`) still leave it within any of these. */
const mostLine = 700;

/** Slack and Mattermost: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks */
export function slackBody(notice: Notice): { readonly text: string } {
  return { text: plainChat(notice, mostSlack, slackText) };
}

export function discordBody(notice: Notice): {
  readonly content: string;
  readonly allowed_mentions: { readonly parse: readonly never[] };
} {
  return { content: plainChat(notice, mostDiscord, discordText), allowed_mentions: { parse: [] } };
}

/** A message with an adaptive card, as Teams' workflow "when a webhook request is received" posts it. */
export function teamsBody(notice: Notice) {
  const { line, facts, outputs } = partsOf(notice, mostTeams);
  const run = (text: string, more: object = {}) => ({ type: "TextRun", text, ...more });
  // Other than a TextBlock, a RichTextBlock knows no mark-up.
  const block = (inlines: readonly object[], more: object = {}) => ({
    type: "RichTextBlock",
    inlines,
    ...more,
  });
  const body = [
    block([run(line, { weight: "Bolder", color: colours[severityOf(notice.event)] })]),
    ...facts.map(([label, value]) =>
      block([run(`${label}: `, { isSubtle: true }), run(value)], { spacing: "None" }),
    ),
    ...outputs.flatMap(({ title, text }) => [
      block([run(title, { isSubtle: true })]),
      block([run(text, { fontType: "Monospace" })], { spacing: "None" }),
    ]),
  ];
  const content = {
    $schema: "http://adaptivecards.io/schemas/adaptive-card.json",
    type: "AdaptiveCard",
    version: "1.4",
    fallbackText: line,
    msteams: { width: "Full" },
    body,
  };
  const contentType = "application/vnd.microsoft.card.adaptive";
  return { type: "message", attachments: [{ contentType, contentUrl: null, content }] };
}

const colours: Readonly<Record<Severity, string>> = {
  info: "Default",
  success: "Good",
  warning: "Warning",
  error: "Attention",
};

interface Markup {
  /** Text from outside, on one line. */
  readonly line: (text: string) => string;
  /** The same within a fence. */
  readonly fenced: (text: string) => string;
}

const fence = "```";
/** Looks like a back-quote, and ends no code. */
const otherQuote = "\u02cb";

/** https://docs.slack.dev/messaging/formatting-message-text#escaping; a word joiner keeps Mattermost's @all quiet. */
const slackEscaped = (text: string) =>
  text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll("@", "@\u2060")
    .replaceAll("`", otherQuote);
const slackText: Markup = {
  // Mattermost's links and pictures: [text](address) and [text][name], which show another address than they lead to.
  line: (text) => slackEscaped(text).replaceAll("]", "]\u2060"),
  fenced: slackEscaped,
};

/** https://support.discord.com/hc/en-us/articles/210298617: a backslash before a sign takes its meaning away. */
const discordText: Markup = {
  line: (text) => text.replace(/[\\*_~`|<>[\]()#:@-]/g, "\\$&"),
  fenced: (text) => text.replaceAll("`", otherQuote),
};

/** The line, the facts, and each output in a fence, as far as there is room. */
function plainChat(notice: Notice, most: number, { line: escaped, fenced }: Markup): string {
  const { line, facts, outputs } = partsOf(notice, most);
  let text = escaped(line);
  const add = (piece: string) => {
    if (text.length + piece.length <= most) text += piece;
  };
  for (const [label, value] of facts) add(`\n${label}: ${escaped(value)}`);
  for (const [index, { title, text: output }] of outputs.entries()) {
    const frame = `\n${title}:\n${fence}\n\n${fence}`;
    const room = Math.floor((most - text.length) / (outputs.length - index)) - frame.length;
    // Escapes make it longer: cut before, so that none is cut in two.
    let kept = output;
    while (kept !== "" && fenced(kept).length > room) kept = tailOf(kept, Math.floor(kept.length * 0.9));
    if (kept !== "") add(`\n${title}:\n${fence}\n${fenced(kept)}\n${fence}`);
  }
  return text;
}

function partsOf(notice: Notice, mostOutput: number) {
  const { facts, outputs } = detailsOf(notice, Math.floor(mostOutput / 2));
  return {
    line: headOf(oneLine(messageOf(notice.event)), mostLine),
    facts: facts.map(([label, value]) => [label, headOf(value, mostLine / 2)] as const),
    outputs,
  };
}
