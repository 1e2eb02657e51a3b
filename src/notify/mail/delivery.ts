import { checkServerIdentity } from "node:tls";
import { createTransport, type SMTPTransportOptions } from "nodemailer";
import { systemCode } from "../../errors.ts";
import { type Call, withDeadline } from "../../util/async.ts";
import { isIPv4, isIPv6 } from "../../util/ip.ts";
import type { MailFailure } from "./failure.ts";
import type { MailMessage } from "./message.ts";
import { openSocket } from "./socket.ts";
import type { Login, MailOptions } from "./url.ts";

/** nodemailer's own would be minutes. Of the caller's deadlines it knows through the signal. */
const connectMs = 15_000;
const greetingMs = 20_000;
/**
 * A server may look at a mail for as long before it answers (RFC 5321 §4.5.3.2.6). Who hangs up sooner sends it again
 * though it was taken, and again.
 */
const silenceMs = 10 * 60_000;

/** Whom the server did not take a mail for, or why it took it for nobody. */
export type Delivery = { readonly refused: readonly Refusal[] } | { readonly failure: MailFailure };

/** A recipient that others were taken without, or refused for another reason. */
export interface Refusal {
  readonly recipient: string;
  readonly reply: string;
}

/** As much as is needed of nodemailer's. */
interface Rejection {
  readonly recipient?: string | undefined;
  readonly response?: string | undefined;
}

/**
 * One mail over a connection of its own, to `recipients`: of those it names, the ones that are to get it now. Rejects only with the signal's reason; nodemailer closes the connection in any case.
 */
export async function deliver(
  options: MailOptions,
  message: MailMessage,
  recipients: readonly string[],
  c: Call,
): Promise<Delivery> {
  c.signal.throwIfAborted();
  const { from, to, login } = options;
  const transport = createTransport(transportOptions(options, c));
  try {
    const { rejected, rejectedErrors = [] } = await transport.sendMail({
      ...message,
      from: { name: from.name, address: from.address },
      to: [...to],
      envelope: { from: from.address, to: [...recipients] },
      textEncoding: "quoted-printable",
      disableFileAccess: true,
      disableUrlAccess: true,
      signal: c.signal,
    });
    return { refused: refusals(rejected, rejectedErrors, login) };
  } catch (error) {
    if (c.signal.aborted) throw c.signal.reason;
    const failure = failureOf(error, login);
    const refused = refusals(failure.rejected, rejectionsOf(error), login);
    const isMixed = refused.some(isPutOff) && !refused.every(isPutOff);
    // The others have it: of them nothing is to be told.
    const isRest = recipients.length < to.length && refused.length === recipients.length;
    return isMixed || isRest ? { refused } : { failure };
  }
}

/** It may be taken later (RFC 5321 §4.2.1). */
export function isPutOff({ reply }: Refusal): boolean {
  return /^4\d\d/.test(reply);
}

function refusals(
  rejected: readonly string[],
  errors: readonly Rejection[],
  login: Login | null,
): readonly Refusal[] {
  const replies = new Map(errors.map(({ recipient, response }) => [recipient, response]));
  return rejected.map((recipient) => ({
    recipient,
    reply: withoutLogin(replies.get(recipient) ?? "", login),
  }));
}

/** Of a mail that was taken for nobody. */
function rejectionsOf(error: unknown): readonly Rejection[] {
  const errors: unknown = error instanceof Error && "rejectedErrors" in error ? error.rejectedErrors : null;
  if (!Array.isArray(errors)) return [];
  return errors.map((each: Partial<Rejection> | null) => ({
    recipient: String(each?.recipient ?? ""),
    response: String(each?.response ?? ""),
  }));
}

function transportOptions({ host, port, encryption, login }: MailOptions, c: Call): SMTPTransportOptions {
  return {
    host,
    port,
    secure: encryption === "tls",
    // Without this it goes on in clear where the server offers no STARTTLS.
    requireTLS: encryption === "starttls",
    ignoreTLS: encryption === "none",
    ...(login === null ? {} : { auth: { user: login.username, pass: login.password } }),
    // Without this it goes on without the login where the server announces none.
    forceAuth: login !== null,
    tls: {
      // Whatever NODE_TLS_REJECT_UNAUTHORIZED says.
      rejectUnauthorized: true,
      // By the name of the URL, an address too; an address is no server name (RFC 6066 §3).
      checkServerIdentity: (_, certificate) => checkServerIdentity(host, certificate),
      ...(isIPv4(host) || isIPv6(host) ? {} : { servername: host }),
    },
    connectionTimeout: connectMs + greetingMs,
    greetingTimeout: greetingMs,
    socketTimeout: silenceMs,
    socketCloseTimeout: 1_000,
    getSocket: (_, done) => {
      openSocket(host, port, withDeadline(c, connectMs).signal).then(
        (socket) => done(null, { connection: socket }),
        (error: Error) => done(error),
      );
    },
  };
}

function failureOf(error: unknown, login: Login | null): MailFailure {
  const { kind, ...rest } = fieldsOf(error);
  const late = error instanceof Error && error.name === "TimeoutError";
  return {
    kind: kind ?? "unknown",
    // What openSocket rejects with has only the system's code.
    system: rest.system ?? (kind !== null && !isOwnKind(kind) ? kind : null),
    timeout: rest.timeout ?? (late ? "CONNECT_TIMEOUT" : null),
    command: rest.command,
    reply: rest.reply === null ? null : withoutLogin(rest.reply, login),
    rejected: rest.rejected,
  };
}

/** nodemailer's NodemailerError, none of whose fields is always there. */
function fieldsOf(error: unknown) {
  const fields: Readonly<Record<string, unknown>> =
    typeof error === "object" && error !== null ? Object.fromEntries(Object.entries(error)) : {};
  const text = (name: string) => {
    const value = fields[name];
    return typeof value === "string" && value !== "" ? value : null;
  };
  const rejected = fields["rejected"];
  return {
    kind: systemCode(error) ?? null,
    system: text("originalCode"),
    timeout: text("timeoutType"),
    command: text("command"),
    reply: text("response"),
    rejected: Array.isArray(rejected) ? rejected.map(String) : [],
  };
}

const ownKinds = new Set([
  "EAUTH",
  "ETLS",
  "EDNS",
  "ESOCKET",
  "ECONNECTION",
  "EPROTOCOL",
  "EENVELOPE",
  "EMESSAGE",
]);

function isOwnKind(kind: string): boolean {
  return ownKinds.has(kind);
}

/** Servers repeat what they were sent, in clear or as SASL encodes it. */
function withoutLogin(reply: string, login: Login | null): string {
  if (login === null) return reply;
  const { username, password } = login;
  const plain = `\0${username}\0${password}`;
  const encoded = [plain, password, username].map((text) => Buffer.from(text).toString("base64"));
  return [...encoded, password, username].reduce((text, secret) => text.replaceAll(secret, "***"), reply);
}
