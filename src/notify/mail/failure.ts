import { DewyError, type ErrorCode } from "../../errors.ts";
import { MessageRefused } from "../notifier.ts";
import { headOf, oneLine } from "../plain.ts";
import type { MailOptions } from "./url.ts";

/** A mail that was not taken, as the classification looks at it. */
export interface MailFailure {
  /** nodemailer's word for what failed: EAUTH, ETLS, EENVELOPE, … */
  readonly kind: string;
  /** The system's or OpenSSL's code beneath (ECONNREFUSED, CERT_HAS_EXPIRED); null: none. */
  readonly system: string | null;
  /** Which of nodemailer's deadlines passed; null: none. */
  readonly timeout: string | null;
  /** The command that was answered (`RCPT TO`, `AUTH PLAIN`); null: none. */
  readonly command: string | null;
  /** The server's answer, `550 5.1.1 No such user`, without the login; null: none. */
  readonly reply: string | null;
  readonly rejected: readonly string[];
}

type Peer = Pick<MailOptions, "host" | "port" | "encryption"> & { readonly login: unknown };

interface Meaning {
  readonly code: ErrorCode;
  readonly text: string;
  readonly hint?: string;
  /** Where it differs from what the reply's first digit says. */
  readonly retryable?: boolean;
}

/**
 * The one place where a mail's failure becomes an error. By RFC 5321 §4.2.1 a reply of 4xx may pass later
 * (greylisting, a busy mailbox), one of 5xx will not; a server that can't be reached may be back.
 */
export function mailError(failure: MailFailure, doing: string, peer: Peer): DewyError {
  const meaning = failure.reply === null ? silence(failure, peer) : answer(failure, failure.reply, peer);
  const { code, text, hint, retryable = !isFinal(failure.reply) } = meaning;
  if (!retryable && isAboutMail(failure)) return new MessageRefused(code, `${doing}: ${text}`, hint);
  return new DewyError(code, `${doing}: ${text}`, { hint, retryable });
}

/** Who refuses the recipients or what is in the mail takes another one; all else is refused to all mails. */
function isAboutMail({ kind, command, reply }: MailFailure): boolean {
  if (reply === null) return kind === "EMESSAGE";
  return command === "RCPT TO" || command === "DATA" ? !/^53[0458]/.test(reply) : kind === "EMESSAGE";
}

function isFinal(reply: string | null): boolean {
  return reply !== null && /^5\d\d/.test(reply);
}

function answer(failure: MailFailure, reply: string, peer: Peer): Meaning {
  const { command, kind, rejected } = failure;
  const status = Number(reply.slice(0, 3));
  const said = `${peer.host} answered ${headOf(oneLine(reply), 200)}`;
  if (!/^\d{3}([ -]|$)/.test(reply)) return notSmtp(peer);
  if (command === "STARTTLS" || (kind === "ETLS" && command !== null)) return noStartTls(said, status, peer);
  // 530 and 538 to whatever was asked, in the words of RFC 3207 and RFC 4954.
  if (status === 538 || (status === 530 && /STARTTLS|encrypt|\bTLS\b/i.test(reply))) {
    return { code: "unauthorized", text: said, hint: "leave out tls=false: the server wants encryption" };
  }
  if (status === 530 || status === 534 || status === 535 || kind === "EAUTH") {
    return login(reply, status, peer);
  }
  if (command === "RCPT TO") {
    const text = `${said} to every recipient (${rejected.join(", ")})`;
    return refusal(status, text, "check the recipients in the notifier's URL");
  }
  if (command === "MAIL FROM") {
    return refusal(
      status,
      `${said} to the sender`,
      "give one that the server takes, with from= or MAIL_FROM",
    );
  }
  return { code: "http-status", text: said };
}

/** What passes by itself later needs no hint. */
function refusal(status: number, text: string, hint: string): Meaning {
  return { code: "http-status", text, ...(status >= 500 ? { hint } : {}) };
}

function noStartTls(said: string, status: number, { host }: Peer): Meaning {
  const text = status >= 500 ? `${host} offers no STARTTLS, and nothing is sent without it` : said;
  return {
    code: "http-status",
    text,
    hint: "write smtps:// if the port speaks TLS from the first byte; tls=false sends in clear",
  };
}

/** Only the code of the reply: servers repeat in it what they were sent. */
function login(reply: string, status: number, { host, login: given }: Peer): Meaning {
  const code = "unauthorized";
  const [shown] = /^\d{3}([ -]\d\.\d{1,3}\.\d{1,3})?/.exec(reply) ?? [""];
  if (given === null) {
    const hint = "give username= and password=, or MAIL_USERNAME and MAIL_PASSWORD";
    return { code, text: `${host} asks for a login (${shown})`, hint };
  }
  if (status < 500) return { code: "http-status", text: `${host} can't check the login now (${shown})` };
  if (status <= 504) {
    const hint = "leave out username= and password= if the server wants no login";
    return { code, text: `${host} takes no login, or none that dewy knows (${shown})`, hint };
  }
  const text = `${host} refuses the login (${shown})`;
  return { code, text, hint: "check the user name and the password; some services want one made for apps" };
}

function silence(failure: MailFailure, peer: Peer): Meaning {
  const { kind, system, timeout } = failure;
  const { host, port, encryption } = peer;
  if (timeout !== null) return tooLate(timeout, peer);
  if (kind === "EAUTH") {
    const hint = "ask the mail server's operator for PLAIN or LOGIN";
    const text = `${host} and dewy know no way to log in in common`;
    return { code: "unauthorized", text, hint, retryable: false };
  }
  if (system !== null && /^(ENOTFOUND|EAI_|ENODATA|DNS_)/.test(system)) {
    const hint = "check the name, and this host's DNS";
    return { code: "network-unreachable", text: `the name ${host} can't be resolved`, hint };
  }
  if (system !== null && /CERT|ISSUER|SIGN|VERIFY|CHAIN|ALTNAME/.test(system))
    return badCertificate(system, host);
  if (kind === "ETLS" || (system !== null && /SSL|TLS|EPROTO/.test(system))) {
    const other = encryption === "tls" ? "smtp:// for STARTTLS" : "smtps:// for TLS from the first byte";
    const text = `no TLS connection to ${host}:${port}${system === null ? "" : ` (${system})`}`;
    return { code: "network-unreachable", text, hint: `check the port, or write ${other}` };
  }
  if (kind === "EPROTOCOL") return notSmtp(peer);
  if (kind === "EENVELOPE" || kind === "EMESSAGE") {
    return { code: "bad-answer", text: `${host} does not take such a mail`, retryable: false };
  }
  const what = kind === "ECONNECTION" ? "closed the connection" : "can't be reached";
  return {
    code: "network-unreachable",
    text: `${host}:${port} ${what}${system === null ? "" : ` (${system})`}`,
  };
}

function tooLate(timeout: string, { host, port, encryption }: Peer): Meaning {
  const code = "network-timeout";
  if (timeout !== "GREETING_TIMEOUT") return { code, text: `no answer from ${host}:${port} in time` };
  const text = `${host}:${port} does not greet as a mail server`;
  return { code, text, ...(encryption === "tls" ? {} : { hint: "if the port speaks TLS, write smtps://" }) };
}

function badCertificate(system: string, host: string): Meaning {
  const code = "network-unreachable";
  if (/EXPIRED|NOT_YET_VALID/.test(system)) {
    const hint = "renew the certificate on the server, and check this host's clock";
    return { code, text: `the certificate of ${host} is not valid today (${system})`, hint };
  }
  if (/ALTNAME/.test(system)) {
    const hint = "write the server's name in the URL as its certificate has it";
    return { code, text: `the certificate of ${host} is for another name (${system})`, hint };
  }
  return {
    code,
    text: `the certificate of ${host} is signed by nobody trusted here (${system})`,
    hint: "put the authority's certificate into a file and name it in SSL_CERT_FILE",
  };
}

function notSmtp({ host, port }: Peer): Meaning {
  const hint = "check the port: 587 and 25 are usual, 465 for smtps://";
  return { code: "bad-answer", text: `${host}:${port} does not speak SMTP`, hint };
}
