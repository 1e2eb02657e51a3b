import { silentLog } from "../../src/log.ts";
import { filterParams } from "../../src/notify/filter.ts";
import type { Notifier } from "../../src/notify/notifier.ts";
import { openSlack } from "../../src/notify/slack/notifier.ts";
import { readSlackUrl, type SlackOptions, slackParams, slackUrl } from "../../src/notify/slack/url.ts";
import { readQueries } from "../../src/util/query.ts";
import { systemClock } from "../../src/util/time.ts";
import type { PostedBlock, PostedMessage } from "../support/slack-payload.ts";
import { SlackServer } from "../support/slack-server.ts";

export const token = "xoxb-1234567890-planted-secret";
export const thread = "1503435956.000247";

/** As the driver reads a URL. */
export function parse(
  text: string,
  env: Readonly<Record<string, string | undefined>> = { SLACK_TOKEN: token },
): SlackOptions {
  const url = slackUrl(new URL(text));
  const [query] = readQueries(url, slackParams, filterParams);
  return readSlackUrl(url, query, env);
}

/** A notifier and the Slack it posts to, which knows #deploys and one thread. */
export interface SlackScene extends AsyncDisposable {
  readonly server: SlackServer;
  readonly notifier: Notifier;
}

export async function startScene(
  url = "slack://deploys",
  deps: Partial<Parameters<typeof openSlack>[1]> = {},
): Promise<SlackScene> {
  const server = await SlackServer.start({ token, threads: [thread] });
  const options = parse(url, { SLACK_TOKEN: token, SLACK_API_URL: server.apiUrl });
  const notifier = openSlack(options, { clock: systemClock, log: silentLog, ...deps });
  return {
    server,
    notifier,
    async [Symbol.asyncDispose]() {
      await notifier[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

/** All that a message shows, its own text first. */
export function textsOf({ text, blocks = [], attachments = [] }: PostedMessage): string[] {
  const shown = [...blocks, ...attachments.flatMap((attachment) => attachment.blocks)];
  return [text, ...shown.flatMap(blockTexts)];
}

function blockTexts({ text, fields = [], elements = [] }: PostedBlock): string[] {
  return [...(text === undefined ? [] : [text]), ...fields, ...elements].map((each) => each.text);
}

/** What a person sees of Slack's mark-up. */
export function plain(markup: string): string {
  return markup
    .replaceAll("*Dewy*", "Dewy")
    .replaceAll("`", "")
    .replaceAll("\u02cb", "`")
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&amp;", "&");
}
