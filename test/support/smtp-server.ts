import { type AddressInfo, createServer, type Socket } from "node:net";
import { SMTPServer, type SMTPServerOptions, type SMTPServerSession } from "smtp-server";
import { SecretWatch } from "./secrets.ts";

/** A mail as the server took it. */
export interface TakenMail {
  readonly from: string;
  readonly to: readonly string[];
  /** Over TLS. */
  readonly secure: boolean;
  /** Who had logged in; null: nobody. */
  readonly user: string | null;
  /** As it came, head and body. */
  readonly raw: string;
  /** Header fields by lower-case name, unfolded and decoded. */
  readonly headers: ReadonlyMap<string, string>;
  readonly text: string;
}

export interface SmtpServerSetup {
  /** `none`: it offers no TLS. */
  readonly tls: "none" | "starttls" | "implicit";
  readonly certificate?: { readonly cert: string; readonly key: string };
  /** The only login that is right; null: it offers none. */
  readonly login?: { readonly username: string; readonly password: string } | null;
  readonly loginRequired?: boolean;
}

/** What happens to the next mails instead of their being taken. */
export type SmtpFailure =
  /** This reply, to the step; to `rcpt` only where the address matches. */
  | { readonly at: "mail" | "rcpt" | "data" | "login"; readonly reply: string; readonly address?: string }
  /** Nothing comes any more once the mail is there. */
  | { readonly at: "hang" }
  /** It is looked at until release() is called, and taken then. */
  | { readonly at: "look" }
  /** The connection breaks once the mail is there. */
  | { readonly at: "cut" };

/** A real SMTP server on a port of its own. */
export class MailServer implements AsyncDisposable {
  readonly mails: TakenMail[] = [];
  /** User names that tried to log in. */
  readonly logins: string[] = [];
  /** Connections that had a mail of theirs left hanging. */
  hanging = 0;
  #failure: SmtpFailure | null = null;
  readonly #lookedAt: (() => void)[] = [];
  readonly #watch = new SecretWatch();
  readonly #sockets = new Set<Socket>();
  readonly #server: SMTPServer;
  #port = 0;

  private constructor(private readonly setup: SmtpServerSetup) {
    this.#server = new SMTPServer(this.#options());
    // Clients that go away in the middle are what is tested.
    this.#server.on("error", () => undefined);
    this.#server.server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
    });
  }

  static async start(setup: SmtpServerSetup): Promise<MailServer> {
    const server = new MailServer(setup);
    const { promise, resolve } = Promise.withResolvers<void>();
    server.#server.listen(0, "127.0.0.1", () => resolve());
    await promise;
    server.#port = (server.#server.server.address() as AddressInfo).port;
    return server;
  }

  get port(): number {
    return this.#port;
  }

  /** Connections that are open. */
  get connections(): number {
    return this.#sockets.size;
  }

  /** From now on. */
  fail(failure: SmtpFailure): void {
    this.#failure = failure;
  }

  heal(): void {
    this.#failure = null;
  }

  /** How many mails are being looked at. */
  get lookedAt(): number {
    return this.#lookedAt.length;
  }

  /** What was looked at is fine. */
  release(): void {
    for (const take of this.#lookedAt.splice(0)) take();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#server.close(() => resolve());
    for (const socket of this.#sockets) socket.destroy();
    await promise;
    this.#watch.refuse();
  }

  #options(): SMTPServerOptions {
    const { tls, certificate, login = null, loginRequired = false } = this.setup;
    const disabledCommands = [...(tls === "none" ? ["STARTTLS"] : []), ...(login === null ? ["AUTH"] : [])];
    return {
      secure: tls === "implicit",
      ...certificate,
      disabledCommands,
      allowInsecureAuth: true,
      authOptional: !loginRequired,
      disableReverseLookup: true,
      closeTimeout: 10,
      onAuth: (auth, _, done) => {
        this.logins.push(auth.username ?? "");
        const right = auth.username === login?.username && auth.password === login?.password;
        const refusal = this.#refusal("login") ?? (right ? null : replyError("535 5.7.8 No such login"));
        done(refusal, right ? { user: auth.username } : undefined);
      },
      onMailFrom: (_, __, done) => done(this.#refusal("mail")),
      onRcptTo: ({ address }, _, done) => done(this.#refusal("rcpt", address)),
      onData: (stream, session, done) => {
        const chunks: Uint8Array[] = [];
        stream.on("data", (chunk: Uint8Array) => chunks.push(chunk));
        stream.on("end", () => this.#take(session, Buffer.concat(chunks).toString("utf8"), done));
      },
    };
  }

  #refusal(at: "mail" | "rcpt" | "data" | "login", address?: string): Error | null {
    const failure = this.#failure;
    if (failure === null || failure.at !== at) return null;
    if ("address" in failure && failure.address !== undefined && failure.address !== address) return null;
    return replyError(failure.reply);
  }

  #take(session: SMTPServerSession, raw: string, done: (error?: Error | null) => void): void {
    const { from, to, headers, text } = takenMail(session, raw);
    this.#watch.see([raw, from, ...to, ...headers.values(), text].join("\n"));
    if (this.#failure?.at === "hang") {
      this.hanging += 1;
      return;
    }
    if (this.#failure?.at === "cut") {
      for (const socket of this.#sockets) socket.destroy();
      return;
    }
    const refusal = this.#refusal("data");
    const take = () => {
      if (refusal === null) this.mails.push(takenMail(session, raw));
      done(refusal);
    };
    if (this.#failure?.at === "look") this.#lookedAt.push(take);
    else take();
  }
}

interface Greeter extends AsyncDisposable {
  readonly port: number;
  /** That are open. */
  readonly connections: number;
}

/** A server that sends `greeting` to whoever connects, and what `answer` says; null: it hangs up. */
export async function startGreeter(
  greeting: string | null,
  answer: (said: string) => string = () => "",
): Promise<Greeter> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    socket.on("error", () => undefined);
    socket.on("data", (bytes) => void socket.write(answer(bytes.toString("latin1"))));
    if (greeting === null) socket.destroy();
    else socket.write(greeting);
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", resolve);
  await promise;
  return {
    port: (server.address() as AddressInfo).port,
    get connections() {
      return sockets.size;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

function replyError(reply: string): Error {
  const [, code, text] = /^(\d{3}) (.*)$/.exec(reply) ?? [];
  return Object.assign(new Error(text), { responseCode: Number(code) });
}

function takenMail(session: SMTPServerSession, raw: string): TakenMail {
  const { mailFrom, rcptTo } = session.envelope;
  const [head = "", ...body] = raw.split("\r\n\r\n");
  const fields = head.replace(/\r\n[ \t]+/g, " ").split("\r\n");
  const headers = new Map(
    fields.map((field): [string, string] => {
      const colon = field.indexOf(":");
      return [field.slice(0, colon).toLowerCase(), decodedWords(field.slice(colon + 1).trim())];
    }),
  );
  const text = body.join("\r\n\r\n");
  const encoded = headers.get("content-transfer-encoding") === "quoted-printable";
  return {
    from: mailFrom === false ? "" : mailFrom.address,
    to: rcptTo.map(({ address }) => address),
    secure: session.secure,
    user: typeof session.user === "string" ? session.user : null,
    raw,
    headers,
    text: (encoded ? quotedPrintable(text) : text).replaceAll("\r\n", "\n"),
  };
}

/** RFC 2045 §6.7. */
function quotedPrintable(text: string): string {
  const bytes = text
    .replace(/=\r\n/g, "")
    .replace(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(bytes, "latin1").toString("utf8");
}

/** RFC 2047. */
function decodedWords(value: string): string {
  const joined = value.replace(/\?=\s+=\?[^?]+\?[QB]\?/gi, "");
  return joined.replace(/=\?utf-8\?([QB])\?([^?]*)\?=/gi, (_, kind: string, text: string) =>
    kind.toUpperCase() === "B"
      ? Buffer.from(text, "base64").toString("utf8")
      : quotedPrintable(text.replaceAll("_", " ")),
  );
}
