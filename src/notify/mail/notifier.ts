import type { Log } from "../../log.ts";
import type { Notifier } from "../notifier.ts";
import { headOf, oneLine } from "../plain.ts";
import { deliver } from "./delivery.ts";
import { mailError } from "./failure.ts";
import { mailMessage } from "./message.ts";
import type { MailOptions } from "./url.ts";

/** The longest silence that a server may keep, and the steps before it. */
const deadlineMs = 11 * 60_000;

export interface MailDeps {
  readonly log: Log;
}

/**
 * A mail for every notice, each over a connection of its own. It counts as delivered once the server took it for one
 * of the recipients: those it refused are told of in the log, as sending it again would reach the others twice.
 */
export function openMail(options: MailOptions, { log }: MailDeps): Notifier {
  const { name, host, port, to, subject, login, encryption } = options;
  if (login !== null && encryption === "none") {
    log.warn("The mail password is sent without encryption", { notifier: name });
  }
  const doing = `send mail by ${host.includes(":") ? `[${host}]` : host}:${port}`;
  return {
    name,
    identity: `mail://${host}/${[...to].sort().join(",")}`,
    deadlineMs,
    async notify(notice, c) {
      const delivery = await deliver(options, mailMessage(notice, subject), c);
      if ("failure" in delivery) throw mailError(delivery.failure, doing, options);
      if (delivery.refused.length === 0) return;
      log.warn("Mail refused for some of the recipients", {
        notifier: name,
        notice: notice.id,
        recipients: delivery.refused.map(({ recipient }) => recipient),
        error: headOf(oneLine(delivery.refused.map(({ reply }) => reply).join("; ")), 500),
      });
    },
    async [Symbol.asyncDispose]() {
      // Every mail closes its own connection.
    },
  };
}
