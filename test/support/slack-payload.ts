/** The arguments of chat.postMessage that were taken. */
export interface PostedMessage {
  readonly ts: string;
  readonly channel: string;
  readonly text: string;
  readonly blocks?: readonly PostedBlock[];
  readonly attachments?: readonly { readonly color?: string; readonly blocks: readonly PostedBlock[] }[];
  readonly thread_ts?: string;
  readonly reply_broadcast?: boolean;
}

export interface PostedBlock {
  readonly type: string;
  readonly text?: { readonly text: string };
  readonly fields?: readonly { readonly text: string }[];
  readonly elements?: readonly { readonly text: string }[];
}

interface Problem {
  readonly error: string;
  readonly response_metadata?: { readonly messages: readonly string[] };
}

interface Workspace {
  readonly channels: readonly string[];
  readonly threads: readonly string[];
}

type Json = Readonly<Record<string, unknown>>;

/** https://docs.slack.dev/reference/methods/chat.postMessage; what may pass Slack unnoticed is a problem here. */
const types: Readonly<Record<string, "string" | "boolean" | "list">> = {
  channel: "string",
  text: "string",
  blocks: "list",
  attachments: "list",
  thread_ts: "string",
  reply_broadcast: "boolean",
  parse: "string",
  link_names: "boolean",
  unfurl_links: "boolean",
  unfurl_media: "boolean",
  mrkdwn: "boolean",
};

const maxTextChars = 40_000;
const maxBlocks = 50;
const maxAttachments = 100;

/** Why Slack would not take a message; null: it would. */
export function problemOf(args: Json, { channels, threads }: Workspace): Problem | null {
  for (const [name, value] of Object.entries(args)) {
    const wanted = types[name];
    if (wanted === undefined) return { error: "invalid_arg_name", ...messages(`no argument ${name}`) };
    if ((Array.isArray(value) ? "list" : typeof value) !== wanted)
      return { error: "invalid_arguments", ...messages(`${name} is no ${wanted}`) };
  }
  const { channel, text, blocks, attachments, thread_ts: thread, reply_broadcast: broadcast } = args;
  if (typeof channel !== "string" || !channels.includes(channel)) return { error: "channel_not_found" };
  if (!text && blocks === undefined && attachments === undefined) return { error: "no_text" };
  if (typeof text === "string" && text.length > maxTextChars) return { error: "msg_too_long" };
  if (thread !== undefined && !threads.includes(String(thread))) return { error: "thread_not_found" };
  if (broadcast !== undefined && thread === undefined)
    return { error: "invalid_arguments", ...messages("no thread") };
  const wrong = blocks === undefined ? null : wrongBlocks(blocks, "/blocks");
  if (wrong !== null) return { error: "invalid_blocks", ...messages(wrong) };
  const amiss = attachments === undefined ? null : wrongAttachments(attachments);
  return amiss === null ? null : { error: "invalid_attachments", ...messages(amiss) };
}

/** https://docs.slack.dev/reference/block-kit/blocks; answers what is wrong and where, as Slack words it. */
function wrongBlocks(blocks: unknown, at: string): string | null {
  if (!Array.isArray(blocks) || blocks.length === 0) return `must be a list of blocks [json-pointer:${at}]`;
  if (blocks.length > maxBlocks) return `no more than ${maxBlocks} items allowed [json-pointer:${at}]`;
  return first(blocks.map((block, index) => wrongBlock(block, `${at}/${index}`)));
}

function wrongBlock(block: unknown, at: string): string | null {
  if (!isJson(block)) return `must be an object [json-pointer:${at}]`;
  const { type, text, fields, elements, ...rest } = block;
  if (Object.keys(rest).length > 0) return `unexpected ${Object.keys(rest)} [json-pointer:${at}]`;
  if (type === "section") {
    if (elements !== undefined) return `unexpected elements [json-pointer:${at}]`;
    if (text === undefined && fields === undefined) return `missing text or fields [json-pointer:${at}]`;
    return first([
      text === undefined ? null : wrongText(text, 3000, `${at}/text`),
      fields === undefined ? null : wrongTexts(fields, 2000, `${at}/fields`),
    ]);
  }
  if (type === "context") {
    if (text !== undefined || fields !== undefined) return `unexpected text [json-pointer:${at}]`;
    return wrongTexts(elements, 3000, `${at}/elements`);
  }
  if (type === "divider") return (text ?? fields ?? elements) ? `unexpected text [json-pointer:${at}]` : null;
  return `unsupported type: ${String(type)} [json-pointer:${at}/type]`;
}

function wrongTexts(list: unknown, maxChars: number, at: string): string | null {
  if (!Array.isArray(list) || list.length === 0) return `must be a list of texts [json-pointer:${at}]`;
  if (list.length > 10) return `no more than 10 items allowed [json-pointer:${at}]`;
  return first(list.map((text, index) => wrongText(text, maxChars, `${at}/${index}`)));
}

function wrongText(value: unknown, maxChars: number, at: string): string | null {
  if (!isJson(value)) return `must be an object [json-pointer:${at}]`;
  const { type, text, verbatim, emoji, ...rest } = value;
  if (Object.keys(rest).length > 0) return `unexpected ${Object.keys(rest)} [json-pointer:${at}]`;
  if (type !== "mrkdwn" && type !== "plain_text") return `unsupported type [json-pointer:${at}/type]`;
  if (verbatim !== undefined && (type !== "mrkdwn" || typeof verbatim !== "boolean"))
    return `verbatim [json-pointer:${at}]`;
  if (emoji !== undefined && (type !== "plain_text" || typeof emoji !== "boolean"))
    return `emoji [json-pointer:${at}]`;
  if (typeof text !== "string" || text === "")
    return `must be more than 0 characters [json-pointer:${at}/text]`;
  if (text.length > maxChars) return `must be less than ${maxChars + 1} characters [json-pointer:${at}/text]`;
  return text.isWellFormed() ? null : `must be UTF-8 [json-pointer:${at}/text]`;
}

/** Beside blocks, an attachment has a colour, and none of what attachments without blocks have. */
function wrongAttachments(attachments: unknown): string | null {
  if (!Array.isArray(attachments) || attachments.length > maxAttachments) return "too many attachments";
  return first(
    attachments.map((attachment, index) => {
      const at = `/attachments/${index}`;
      if (!isJson(attachment)) return `must be an object [json-pointer:${at}]`;
      const { color, blocks, ...rest } = attachment;
      if (Object.keys(rest).length > 0) return `unexpected ${Object.keys(rest)} [json-pointer:${at}]`;
      const isColor = color === undefined || /^(good|warning|danger|#[0-9A-Fa-f]{6})$/.test(String(color));
      return isColor ? wrongBlocks(blocks, `${at}/blocks`) : `no colour [json-pointer:${at}/color]`;
    }),
  );
}

function first(problems: readonly (string | null)[]): string | null {
  return problems.find((problem) => problem !== null) ?? null;
}

function messages(text: string) {
  return { response_metadata: { messages: [`[ERROR] ${text}`] } };
}

function isJson(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
