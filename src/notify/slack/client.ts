import { LogLevel, WebClient } from "@slack/web-api";
import type { Call } from "../../util/async.ts";
import type { Clock } from "../../util/time.ts";
import { build } from "../../version.ts";
import type { SlackContent } from "./blocks.ts";
import { slackFetch } from "./transport.ts";
import type { SlackOptions } from "./url.ts";

/** One call of chat.postMessage. */
export interface SlackMessage extends SlackContent {
  readonly channel: string;
  readonly thread: string | null;
  /** Whether the channel sees what goes into a thread, too. */
  readonly broadcast: boolean;
}

type PostOptions = Pick<SlackOptions, "token" | "apiUrl">;

/** Posts a message, once: whoever calls tries again. Rejects with what the library throws (see refusalOf). */
export async function post(
  message: SlackMessage,
  options: PostOptions & { readonly clock: Clock; readonly doing: string },
  c: Call,
): Promise<void> {
  // One for each message, as the library takes no signal by call; it opens nothing.
  const client = new WebClient(options.token, {
    slackApiUrl: options.apiUrl,
    fetch: slackFetch(options.clock, options.doing, c),
    retryConfig: { retries: 0 },
    rejectRateLimitedCalls: true,
    allowAbsoluteUrls: false,
    headers: { "User-Agent": `dewy/${build.version}` },
    // Its own writes to the console, and the message with it.
    logger: {
      debug() {},
      info() {},
      warn() {},
      error() {},
      setLevel() {},
      getLevel: () => LogLevel.ERROR,
      setName() {},
    },
  });
  await client.apiCall("chat.postMessage", argumentsOf(message));
}

/** https://docs.slack.dev/reference/methods/chat.postMessage */
function argumentsOf(message: SlackMessage): Record<string, unknown> {
  const { channel, text, blocks, attachments, thread, broadcast } = message;
  return {
    channel,
    text,
    ...(blocks.length === 0 ? {} : { blocks }),
    ...(attachments.length === 0 ? {} : { attachments }),
    ...(thread === null ? {} : { thread_ts: thread, reply_broadcast: broadcast }),
    // Nothing in a message is a link or a mention but what is marked so.
    parse: "none",
    link_names: false,
    unfurl_links: false,
    unfurl_media: false,
  };
}
