import { DewyError } from "../../src/errors.ts";
import { silentLog } from "../../src/log.ts";
import { openMail } from "../../src/notify/mail/notifier.ts";
import { mailParams, readMailUrl } from "../../src/notify/mail/url.ts";
import { readQuery } from "../../src/util/query.ts";
import { systemClock } from "../../src/util/time.ts";
import { noticeOf } from "../support/notices.ts";

// A process of its own, as SSL_CERT_FILE is read at the start of one only: sends a mail by each URL of its
// arguments, one after the other, and prints a JSON line for each.
for (const text of process.argv.slice(2)) {
  const url = new URL(text);
  const notifier = openMail(readMailUrl(url, readQuery(url, mailParams), process.env), {
    log: silentLog,
    clock: systemClock,
  });
  const signal = AbortSignal.timeout(20_000);
  const error = await notifier.notify(noticeOf({ kind: "downloaded", tag: "v1" }), { signal }).then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (error !== null && !(error instanceof DewyError)) throw error;
  const { code, message, hint, retryable } = error ?? {};
  console.log(
    JSON.stringify(error === null ? { sent: true } : { sent: false, code, message, hint, retryable }),
  );
}
