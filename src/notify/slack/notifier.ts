import { DewyError } from "../../errors.ts";
import type { Log } from "../../log.ts";
import type { Call } from "../../util/async.ts";
import type { Clock } from "../../util/time.ts";
import { isLoopback } from "../loopback.ts";
import type { Notice } from "../notice.ts";
import type { Notifier } from "../notifier.ts";
import { type Refusal, refusalOf, refusedPart } from "./answer.ts";
import { renderNotice } from "./blocks.ts";
import { post, type SlackMessage } from "./client.ts";
import { slackError } from "./error.ts";
import { isAlarm } from "./tone.ts";
import { isThread, type SlackOptions } from "./url.ts";

/** Slack answers within a second or two. */
const deadlineMs = 30_000;

interface SlackDeps {
  readonly clock: Clock;
  readonly log: Log;
}

/** Posts notices to one channel of Slack by chat.postMessage. */
export function openSlack(options: SlackOptions, deps: SlackDeps): Notifier {
  const { clock, log } = deps;
  const { channel, token, apiUrl, name } = options;
  const { protocol, host, hostname } = new URL(apiUrl);
  const target = { doing: `post to Slack's ${channel}`, channel, host, token };
  if (protocol === "http:" && !isLoopback(hostname)) {
    log.warn("The Slack token is sent without encryption", {
      notifier: name,
      host,
      hint: "write https:// in SLACK_API_URL",
    });
  }
  const closed = new AbortController();
  return {
    name,
    identity: name,
    deadlineMs,
    async notify(notice, c) {
      const call = { signal: AbortSignal.any([c.signal, closed.signal]) };
      for (let message: SlackMessage = messageFor(notice, options); ; ) {
        const refusal = await refusalFor(message, call);
        if (refusal === null) return;
        const rest = without(message, refusal);
        if (rest === null) throw slackError(refusal, target, clock.now());
        log.warn("Slack refused a part of a message; sent without it", {
          channel,
          part: refusedPart(refusal) ?? "",
          error: refusal.kind === "refused" ? refusal.code : "",
        });
        message = rest;
      }
    },
    async [Symbol.asyncDispose]() {
      closed.abort(new DewyError("stopped", `${target.doing}: stopped`));
    },
  };

  /** null: it is there. Rejects with the signal's reason when that ends it. */
  async function refusalFor(message: SlackMessage, c: Call): Promise<Refusal | null> {
    c.signal.throwIfAborted();
    try {
      await post(message, { token, apiUrl, clock, doing: target.doing }, c);
      return null;
    } catch (error) {
      c.signal.throwIfAborted();
      return refusalOf(error);
    }
  }
}

function messageFor(notice: Notice, options: SlackOptions): SlackMessage {
  const brought = notice.thread !== null && isThread(notice.thread) ? notice.thread : null;
  const thread = options.thread ?? brought;
  const broadcast = thread !== null && isAlarm(notice.event);
  return { ...renderNotice(notice, options), channel: options.channel, thread, broadcast };
}

/** The message without what Slack refused, so that its news arrives all the same; null: nothing to leave out. */
function without(message: SlackMessage, refusal: Refusal): SlackMessage | null {
  const part = refusedPart(refusal);
  if (part === "thread" && message.thread !== null) return { ...message, thread: null };
  if (part === "blocks" && message.blocks.length > 0) return { ...message, blocks: [], attachments: [] };
  return null;
}
