import { hostname } from "node:os";
import { DewyError } from "../../errors.ts";
import { isIPv6 } from "../../util/ip.ts";
import { flag, type QuerySpec, type QueryValues, text } from "../../util/query.ts";

/** What a mail URL says. */
export interface MailOptions {
  /** For logs: `smtp://host:port/recipient,…`. */
  readonly name: string;
  /** A name or an address, IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
  /** `tls`: from the first byte. `starttls`: in clear until the server has agreed, and nothing without that. */
  readonly encryption: "tls" | "starttls" | "none";
  readonly login: Login | null;
  readonly from: Mailbox;
  /** Addresses, at least one. */
  readonly to: readonly string[];
  readonly subject: string;
}

export interface Login {
  readonly username: string;
  readonly password: string;
}

export interface Mailbox {
  readonly name: string;
  readonly address: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Beside those of every notifier (`on`, `quiet`). */
export const mailParams = {
  username: text,
  password: text,
  from: text,
  to: text,
  subject: text,
  tls: flag,
} satisfies QuerySpec;

type MailQuery = QueryValues<typeof mailParams>;

const submissionPort = 587;
/** RFC 8314 §3.3: TLS from the first byte, whichever scheme the URL has. */
const submissionsPort = 465;
const defaultSubject = "Dewy Notification";

/** A `+` in them is meant as it is written; in a subject it is a blank, as in every query. */
const literal: readonly string[] = ["username", "password", "from", "to"];

/**
 * The URL in the shape readQueries takes: it would make blanks of the `+` in passwords and addresses. Throws
 * `config-invalid` where a `#` cuts something off.
 */
export function mailUrl(given: URL): URL {
  if (given.hash !== "") {
    throw invalid('the mail URL holds a "#", and what follows it would be lost', "write # in a URL as %23");
  }
  const url = new URL(given);
  const pairs = url.search.slice(1).split("&");
  const escaped = pairs.map((pair) => {
    const isLiteral = literal.includes(pair.split("=", 1)[0] ?? "");
    // What stands before the address is a name, and may have blanks.
    const named = /^from=.*(?=<|%3C)/i.exec(pair)?.[0] ?? "";
    return isLiteral ? `${named}${pair.slice(named.length).replaceAll("+", "%2B")}` : pair;
  });
  url.search = escaped.join("&");
  return url;
}

/**
 * `smtp://host[:587]/recipient[,recipient]?username=&password=&from=&to=&subject=&tls=`, `mail://` the same,
 * `smtps://host[:465]/…` for TLS from the first byte. `tls=true`, which is the default, means STARTTLS and nothing
 * without it; `tls=false` no encryption at all. Recipients are those of the path and of `to=`. What the URL leaves out
 * is taken from MAIL_USERNAME, MAIL_PASSWORD and MAIL_FROM; without a name and password there is no login, without a
 * sender it is `dewy@<this host>`. Anything else is `config-invalid`.
 */
export function readMailUrl(url: URL, query: MailQuery, env: Environment): MailOptions {
  const host = hostOf(url);
  const port = portOf(url);
  const to = recipientsOf(url, query.to);
  const shownHost = host.includes(":") ? `[${host}]` : host;
  return {
    name: `${url.protocol}//${shownHost}:${port}/${to.join(",")}`,
    host,
    port,
    encryption: encryptionOf(url, port, query.tls),
    login: loginOf(query, env),
    from: senderOf(query.from, env),
    to,
    subject: subjectOf(query.subject),
  };
}

function hostOf(url: URL): string {
  if (url.username !== "" || url.password !== "") {
    throw invalid(
      "a mail URL takes no user before the host",
      "write username= and password=, or set MAIL_USERNAME and MAIL_PASSWORD",
    );
  }
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  const named = /^[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_.])?$/.test(host) || isIPv6(host);
  if (named) return host;
  throw invalid("the mail URL does not name a server", "write smtp://host:port/recipient@example.com");
}

function portOf(url: URL): number {
  if (url.port === "") return url.protocol === "smtps:" ? submissionsPort : submissionPort;
  if (url.port === "0") throw invalid("0 is no port of a mail server", "leave it out, or write 587 or 465");
  return Number(url.port);
}

function encryptionOf(url: URL, port: number, tls: boolean | null): MailOptions["encryption"] {
  const wrapped = url.protocol === "smtps:";
  if (wrapped && tls === false) {
    throw invalid("tls=false contradicts smtps://", "write smtp:// for a server without TLS");
  }
  if (tls === false) return "none";
  return wrapped || port === submissionsPort ? "tls" : "starttls";
}

function loginOf(query: MailQuery, env: Environment): Login | null {
  const username = query.username ?? (env["MAIL_USERNAME"] || null);
  const password = query.password ?? (env["MAIL_PASSWORD"] || null);
  if (username === null && password === null) return null;
  if (username === null || password === null) {
    throw invalid(
      `the mail server's ${username === null ? "user name" : "password"} is missing`,
      "give both username= and password=, or MAIL_USERNAME and MAIL_PASSWORD, or neither",
    );
  }
  return { username, password };
}

function recipientsOf(url: URL, to: string | null): readonly string[] {
  const path = url.pathname.replace(/^\//, "");
  const listed = `${decoded(path)},${to ?? ""}`.split(",").map((entry) => entry.trim());
  const addresses = [...new Set(listed.filter((entry) => entry !== ""))];
  const wrong = addresses.find((entry) => !isAddress(entry));
  if (wrong !== undefined) {
    throw invalid(`${JSON.stringify(wrong)} is no mail address`, "write recipient@example.com");
  }
  if (addresses.length > 0) return addresses;
  throw invalid("the mail URL names no recipient", "write smtp://host:port/recipient@example.com");
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    throw invalid("the mail URL's path is badly escaped", "write a % in an address as %25");
  }
}

/** `address` or `Name <address>`. */
function senderOf(given: string | null, env: Environment): Mailbox {
  const fallback = env["MAIL_FROM"] || null;
  const source = given ?? fallback ?? `dewy@${hostname()}`;
  const [, name = "", angled] = /^([^<>]*)<([^<>]*)>$/.exec(source.trim()) ?? [];
  const address = (angled ?? source).trim();
  const label = name.trim().replace(/^"(.*)"$/, "$1");
  if (isAddress(address) && !/[\p{Cc}"]/u.test(label)) return { name: label, address };
  const about =
    given !== null ? "from=" : fallback !== null ? "MAIL_FROM" : "the sender made of this host's name";
  throw invalid(
    `${about} is no mail address: ${JSON.stringify(source)}`,
    "write from=dewy@example.com, or from=Dewy%20<dewy@example.com>",
  );
}

/** Neither quoted local parts nor address literals: nobody has them, and they let header syntax in. */
function isAddress(entry: string): boolean {
  return entry.length <= 254 && /^[^\s@<>()[\],;:"\\\p{C}]+@[^\s@<>()[\],;:"\\\p{C}]+$/u.test(entry);
}

function subjectOf(given: string | null): string {
  const subject = given ?? defaultSubject;
  if (!/\p{Cc}/u.test(subject)) return subject;
  throw invalid("subject= holds a line break or a control character", "write it on one line");
}

function invalid(message: string, hint: string): DewyError {
  return new DewyError("config-invalid", message, { hint });
}
