import { connect, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { DewyError } from "../../errors.ts";
import { networkError } from "../../http/error.ts";
import { closedError, notRedis, replyError } from "./failure.ts";
import { hostOf, type RedisOptions } from "./url.ts";

/** A server that expects TLS ends a connection without it, and says nothing. */
const tlsHint = "if it is a Redis with TLS, write rediss://";

/**
 * Why no connection came about. Bun's client (1.4.5) says "Connection closed" to everything: a refused connection,
 * an untrusted certificate, a wrong password. So its first words are said once more over a plain socket.
 */
export function findCause(options: RedisOptions, doing: string, limitMs: number): Promise<DewyError> {
  const host = hostOf(options);
  const { promise, resolve } = Promise.withResolvers<DewyError>();
  const socket = open(options);
  let opened = false;
  let answer = "";
  const silent = () => silentError(options, doing, opened);
  const timer = setTimeout(() => resolve(silent()), limitMs);
  socket.on(options.tls ? "secureConnect" : "connect", () => {
    opened = true;
    socket.write(hello(options));
  });
  socket.on("data", (bytes) => {
    answer += bytes.toString("latin1");
    const end = answer.indexOf("\r\n");
    if (end !== -1 || answer.length > 4096) resolve(judge(answer.slice(0, end), doing, options));
  });
  const ended = () => {
    if (opened) return closedError(doing, options, options.tls ? undefined : tlsHint);
    return options.tls ? noTls(doing, host) : closedError(doing, options);
  };
  socket.on("error", (error) => resolve(opened ? ended() : networkError(error, doing, host)));
  socket.on("close", () => resolve(ended()));
  return promise.finally(() => {
    clearTimeout(timer);
    socket.destroy();
  });
}

function open({ tls, hostname: host, port }: RedisOptions): Socket {
  if (!tls) return connect({ host, port });
  return connectTls({ host, port, ...(isIP(host) === 0 ? { servername: host } : {}) });
}

/** Of a server that takes the greeting there is nothing to tell: the connection just did not last. */
function judge(line: string, doing: string, options: RedisOptions): DewyError {
  if (line.startsWith("-")) return replyError(line.slice(1), doing, options);
  return /^[%*]\d+$/.test(line) ? closedError(doing, options) : notRedis(doing, options);
}

function hello({ username, password }: RedisOptions): string {
  const login = password === null ? [] : ["AUTH", username ?? "default", password];
  const words = ["HELLO", "3", ...login];
  return `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join("")}`;
}

function silentError(options: RedisOptions, doing: string, opened: boolean): DewyError {
  const host = hostOf(options);
  if (options.tls && !opened) return noTls(doing, host);
  return new DewyError(
    "network-timeout",
    `${doing}: ${opened ? "no answer from" : "no connection to"} ${host}`,
    {
      hint: opened ? "is it a Redis, without TLS? then rediss:// is for the others" : undefined,
    },
  );
}

function noTls(doing: string, host: string): DewyError {
  return new DewyError("network-unreachable", `${doing}: ${host} does not speak TLS`, {
    hint: "write redis:// if that Redis has no TLS; else check the port",
  });
}
