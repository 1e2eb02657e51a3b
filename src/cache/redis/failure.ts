import { DewyError, type ErrorCode, messageOf, systemCode } from "../../errors.ts";
import { hostOf, type RedisOptions } from "./url.ts";

interface Rule {
  /** Of Redis's error code, or of its words where it has none. Inside scripts it does not come first. */
  readonly said: RegExp;
  readonly code: ErrorCode;
  readonly text: string;
  readonly hint: string;
  readonly retryable?: boolean;
}

const cluster = "name a Redis that is no cluster node; a single server is enough for a cache";

/** https://redis.io/docs/latest/develop/reference/protocol-spec/#simple-errors; the codes stand in Redis's source. */
const rules: readonly Rule[] = [
  {
    said: /\bWRONGPASS\b/,
    code: "unauthorized",
    text: "does not know this user with this password",
    hint: "correct the user and password in the cache URL, or REDIS_PASSWORD",
  },
  {
    said: /\bNOAUTH\b/,
    code: "unauthorized",
    text: "wants a password",
    hint: "set REDIS_PASSWORD, or write redis://:password@host",
  },
  {
    said: /\bNOPERM\b|ACL failure/,
    code: "unauthorized",
    text: "lets this user not do that",
    hint: "ACL SETUSER <user> ~<prefix>:* +get +set +del +getrange +eval +unlink +scan +select",
  },
  {
    said: /\bDENIED\b/,
    code: "unauthorized",
    text: "is in protected mode and takes no remote clients",
    hint: "give it a password (requirepass) or an address to bind to",
  },
  {
    said: /\b(MOVED|ASK|CROSSSLOT|CLUSTERDOWN)\b|SELECT is not allowed in cluster mode/,
    code: "config-invalid",
    text: "is part of a cluster: redis cluster is not supported",
    hint: cluster,
  },
  {
    said: /DB index is out of range|invalid DB index/,
    code: "config-invalid",
    text: "has no database of that number",
    hint: "name one below its setting `databases` (16 as delivered): redis://host/0",
  },
  {
    said: /\bREADONLY\b/,
    code: "bad-answer",
    text: "is a replica, which takes no writes",
    hint: "name the primary in the cache URL",
  },
  {
    said: /\bOOM\b/,
    code: "bad-answer",
    text: "is full (maxmemory)",
    hint: "raise its maxmemory, let it evict (maxmemory-policy allkeys-lru), or give max-size= or ttl=",
  },
  {
    said: /\bMISCONF\b|\bNOREPLICAS\b/,
    code: "bad-answer",
    text: "takes no writes, as it can't keep them safe (disk or replicas)",
    hint: "look at its log: its last save or its replicas failed",
  },
  {
    said: /\b(LOADING|BUSY|MASTERDOWN)\b/,
    code: "network-unreachable",
    text: "is not ready (loading its data, or busy)",
    hint: "dewy tries again by itself",
  },
  {
    said: /max number of clients/,
    code: "network-unreachable",
    text: "takes no more clients",
    hint: "raise its maxclients",
  },
  {
    said: /\bWRONGTYPE\b/,
    code: "bad-answer",
    text: "has something of somebody else under one of the cache's keys",
    hint: "name a prefix= of its own in the cache URL",
  },
  {
    said: /unknown command|\bNOPROTO\b/,
    code: "config-invalid",
    // What Redis says repeats the arguments, passwords included.
    text: "does not know a command that Redis has had since version 6",
    hint: "update it to Redis 6.2 or newer",
  },
];

/** What an error reply means. */
export function replyError(reply: string, doing: string, options: RedisOptions): DewyError {
  const server = `${doing}: redis at ${hostOf(options)}`;
  const rule = rules.find(({ said }) => said.test(reply));
  if (rule === undefined) return new DewyError("bad-answer", `${server} answered ${shown(reply, options)}`);
  const { code, text, hint } = rule;
  return new DewyError(code, `${server} ${text}`, { hint });
}

/** What Bun's client threw from a command. */
export function commandError(error: unknown, doing: string, options: RedisOptions): unknown {
  if (error instanceof DewyError || !(error instanceof Error)) return error;
  const code = systemCode(error) ?? "";
  // A server's words come with several codes (1.4.5: ERR_REDIS_INVALID_COMMAND too); all begin with a word in capitals.
  const replied = code.startsWith("ERR_REDIS") && /^-?[A-Z]+ /.test(error.message);
  if (replied) return replyError(messageOf(error), doing, options);
  return closedError(doing, options);
}

export function closedError(doing: string, options: RedisOptions, hint?: string): DewyError {
  const text = `${doing}: redis at ${hostOf(options)} closed the connection`;
  return new DewyError("network-unreachable", text, { hint });
}

export function notRedis(doing: string, options: RedisOptions): DewyError {
  return new DewyError("bad-answer", `${doing}: what answers at ${hostOf(options)} is no Redis`, {
    hint: "check host and port of the cache URL",
  });
}

function shown(reply: string, { password }: RedisOptions): string {
  const line = reply.split(/[\r\n]/, 1)[0] ?? "";
  return (password === null ? line : line.replaceAll(password, "***")).slice(0, 200);
}
