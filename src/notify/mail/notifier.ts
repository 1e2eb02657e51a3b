import { DewyError } from "../../errors.ts";
import type { Log } from "../../log.ts";
import type { Clock } from "../../util/time.ts";
import type { Notifier } from "../notifier.ts";
import { headOf, oneLine } from "../plain.ts";
import { deliver, isPutOff, type Refusal } from "./delivery.ts";
import { mailError } from "./failure.ts";
import { mailMessage } from "./message.ts";
import { Recipients } from "./recipients.ts";
import type { MailOptions } from "./url.ts";

/** The longest silence that a server may keep, and the steps before it. */
const deadlineMs = 11 * 60_000;

export interface MailDeps {
  readonly log: Log;
  readonly clock: Pick<Clock, "monotonicMs">;
}

/**
 * A mail for every notice, each over a connection of its own. It counts as delivered once the server took it for one
 * of the recipients and refused it for the others for good: these are told of in the log, as sending it again would
 * reach the first ones twice. Those it puts off are tried again for a while, alone.
 */
export function openMail(options: MailOptions, { log, clock }: MailDeps): Notifier {
  const { name, host, port, to, subject, login, encryption } = options;
  if (login !== null && encryption === "none") {
    log.warn("The mail password is sent without encryption", { notifier: name });
  }
  const recipients = new Recipients(to, clock);
  const doing = `send mail by ${host.includes(":") ? `[${host}]` : host}:${port}`;
  return {
    name,
    identity: `mail://${host}/${[...to].sort().join(",")}`,
    deadlineMs,
    async notify(notice, c) {
      const now = recipients.of(notice.id);
      const delivery = await deliver(options, mailMessage(notice, subject), now, c);
      if ("failure" in delivery) throw mailError(delivery.failure, doing, options);
      const { refused } = delivery;
      const putOff = refused.filter(isPutOff).map(({ recipient }) => recipient);
      const again = recipients.sent(notice.id, now, putOff);
      const given = refused.filter(({ recipient }) => !again.includes(recipient));
      if (given.length > 0) {
        log.warn("Mail refused for some of the recipients", {
          notifier: name,
          notice: notice.id,
          recipients: given.map(({ recipient }) => recipient),
          error: repliesOf(given),
        });
      }
      if (again.length === 0) return;
      const said = repliesOf(refused.filter(({ recipient }) => again.includes(recipient)));
      throw new DewyError("http-status", `${doing}: ${host} answered ${said} to ${again.join(", ")}`, {
        retryable: true,
      });
    },
    async [Symbol.asyncDispose]() {
      // Every mail closes its own connection.
    },
  };
}

function repliesOf(refused: readonly Refusal[]): string {
  return headOf(oneLine(refused.map(({ reply }) => reply).join("; ")), 500);
}
