import { DewyError } from "../../src/errors.ts";
import { noticeOf } from "../support/notices.ts";
import { parse } from "./slack-fixture.ts";

/**
 * A process of its own, since Bun reads proxies and authorities from the environment by itself: posts one notice to
 * `slack://deploys` and prints what came of it as JSON.
 */
async function main(): Promise<void> {
  const { openSlack } = await import("../../src/notify/slack/notifier.ts");
  const { silentLog } = await import("../../src/log.ts");
  const { systemClock } = await import("../../src/util/time.ts");
  await using notifier = openSlack(parse("slack://deploys", process.env), {
    clock: systemClock,
    log: silentLog,
  });
  try {
    await notifier.notify(noticeOf({ kind: "downloaded", tag: "v1.2.3" }), {
      signal: AbortSignal.timeout(20_000),
    });
    console.log(JSON.stringify("taken"));
  } catch (error) {
    if (!(error instanceof DewyError)) throw error;
    const { code, message, hint, retryable } = error;
    console.log(JSON.stringify({ code, message, hint, retryable }));
  }
}

void main();
