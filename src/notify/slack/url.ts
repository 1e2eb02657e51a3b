import { DewyError } from "../../errors.ts";
import { text } from "../../util/query.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** Where messages go, and by whose leave. */
export interface SlackOptions {
  /** `slack://deploys`, for logs. */
  readonly name: string;
  /** As Slack takes it: an ID (`C024BE91L`) or `#name`. */
  readonly channel: string;
  /** At the head of every message; null: none. */
  readonly title: string | null;
  /** What the title leads to, `https://…`; null: nothing. */
  readonly titleUrl: string | null;
  /** The `ts` of the thread that every message goes into; null: the release's, if it brought one. */
  readonly thread: string | null;
  /** Secret. Goes to `apiUrl` only. */
  readonly token: string;
  /** `https://slack.com/api/`, or a server that speaks like it; ends with a slash. */
  readonly apiUrl: string;
}

/** The query parameters of a `slack://` URL, for readQueries; `on` and `quiet` are every notifier's. */
export const slackParams = { title: text, url: pageUrl, thread };

export interface SlackQuery {
  readonly title: string | null;
  readonly url: string | null;
  readonly thread: string | null;
}

const slackApiUrl = "https://slack.com/api/";
const nameHint =
  "write slack://deploys or slack://C024BE91L: small letters, digits, - and _ up to 80, or the channel's ID";
const tokenHint =
  "put the token into the environment variable SLACK_TOKEN: command lines are seen by everybody on this host";

/**
 * The URL in the shape readQueries and readSlackUrl take: in `slack://#deploys?title=App` all that follows the `#` would
 * be a fragment, the query too. Throws `config-invalid` for a token in the URL, before anything repeats the URL.
 */
export function slackUrl(url: URL): URL {
  refuseTokens(url);
  const bare = url.host === "" && url.hash !== "" && url.search === "" && /^\/?$/.test(url.pathname);
  if (!bare) return url;
  const named = URL.parse(`slack://${url.hash.slice(1)}`);
  if (named === null) throw invalid("the Slack URL names no channel that can be", nameHint);
  refuseTokens(named);
  return named;
}

/**
 * `slack://channel?title=&url=&thread=` (of slackUrl), with the token from `SLACK_TOKEN` and another server's address
 * from `SLACK_API_URL`; `query` is what readQueries made of `slackParams`. Anything wrong is `config-invalid`.
 */
export function readSlackUrl(url: URL, query: SlackQuery, env: Environment): SlackOptions {
  const channel = channelOf(url);
  return {
    name: `slack://${channel.replace(/^#/, "")}`,
    channel,
    title: query.title,
    titleUrl: query.url,
    thread: query.thread,
    token: readToken(env["SLACK_TOKEN"]),
    apiUrl: readApiUrl(env["SLACK_API_URL"]),
  };
}

/** Of a message: `1503435956.000247`. */
export function isThread(value: string): boolean {
  return /^\d{10}\.\d{6}$/.test(value);
}

function channelOf(url: URL): string {
  if (url.hash !== "") {
    throw invalid('the Slack URL holds a "#", and what follows it would be lost', "write # in a URL as %23");
  }
  if (!/^\/?$/.test(url.pathname) || url.host === "") {
    throw invalid("the Slack URL does not name one channel", nameHint);
  }
  const name = unescaped(url.host).replace(/^#/, "");
  if (/^[CGDUW][A-Z0-9]{2,}$/.test(name)) return name;
  // https://slack.com/help/articles/201402297: letters of any script that knows no capitals, or small ones.
  if (/^[\p{Ll}\p{Lo}\p{Lm}\p{M}\p{N}_-]{1,80}$/u.test(name)) return `#${name}`;
  throw invalid("the Slack URL names no channel that can be", nameHint);
}

function unescaped(host: string): string {
  try {
    return decodeURIComponent(host);
  } catch {
    throw invalid("the Slack URL's channel is badly escaped", nameHint);
  }
}

/** `title=` leads there; it becomes part of Slack's mark-up, so it must be a plain web address. */
function pageUrl(value: string): string {
  const url = URL.parse(value);
  if (url === null || !/^https?:$/.test(url.protocol)) throw new Error("is no web address; write https://…");
  if (url.username !== "" || url.password !== "") throw new Error("holds credentials, which everybody reads");
  // As mark-up it must fit into a section of 3,000 characters, beside the message.
  if (url.href.replaceAll("&", "&amp;").length > 1000) throw new Error("is longer than 1,000 characters");
  return url.href;
}

function thread(value: string): string {
  if (isThread(value)) return value;
  throw new Error('is no thread; write the ts of its first message, such as "1503435956.000247"');
}

function readToken(value: string | undefined): string {
  const token = value?.trim() ?? "";
  if (token === "") {
    throw invalid(
      "a slack:// notifier needs a token, and SLACK_TOKEN is not set",
      "set SLACK_TOKEN to the Bot User OAuth Token of a Slack app with the scope chat:write",
    );
  }
  // As a header it would fail with an error that repeats it.
  if (!/^[\x21-\x7e]+$/.test(token)) {
    throw invalid("SLACK_TOKEN is no token: it holds blanks or other odd characters", "copy the token again");
  }
  return token;
}

function readApiUrl(value: string | undefined): string {
  if (value === undefined || value.trim() === "") return slackApiUrl;
  const url = URL.parse(value.trim());
  const plain = url !== null && url.username === "" && url.password === "" && url.search === "";
  if (!plain || !/^https?:$/.test(url.protocol) || url.hash !== "") {
    // The value is not repeated: it may hold a password.
    throw invalid("SLACK_API_URL is no plain web address", `write it as ${slackApiUrl}, or unset it`);
  }
  return url.href.replace(/\/*$/, "/");
}

/** Slack's tokens begin so: https://docs.slack.dev/authentication/tokens */
function refuseTokens(url: URL): void {
  const known = /\b(?:xox[a-z]|xapp|xwfp)[.-]/i.test(url.href);
  if (known || url.username !== "" || url.password !== "" || url.searchParams.has("token")) {
    throw invalid("the Slack URL holds a token", tokenHint);
  }
}

function invalid(message: string, hint: string): DewyError {
  return new DewyError("config-invalid", message, { hint });
}
