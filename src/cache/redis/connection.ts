import { RedisClient } from "bun";
import { DewyError } from "../../errors.ts";
import { governed } from "../../http/governed.ts";
import type { Governor } from "../../http/governor.ts";
import { Watchdog } from "../../http/watchdog.ts";
import { abortable, type Call } from "../../util/async.ts";
import type { Clock } from "../../util/time.ts";
import type { ValueKind } from "../key-value.ts";
import { closedError, commandError, replyError } from "./failure.ts";
import { findCause } from "./probe.ts";
import { hostOf, type RedisOptions } from "./url.ts";

export interface RedisDeps {
  readonly governor: Governor;
  readonly clock: Clock;
  /** Milliseconds for a command about such a value; only tests have others. */
  readonly deadlines?: Readonly<Record<ValueKind, number>>;
}

export const defaultDeadlines: Readonly<Record<ValueKind, number>> = { head: 5000, chunk: 30_000 };

/** The client's `send` takes bytes too, though its types say strings only; its replies are text. */
export type Commands = Pick<RedisClient, "getBuffer" | "set"> & {
  send(command: string, args: (string | Uint8Array)[]): Promise<unknown>;
};

interface Link {
  readonly client: RedisClient;
  readonly ready: Promise<void>;
}

/**
 * One connection, made when it is needed and made anew after it was lost. Not by Bun's client itself: that one queues
 * commands meanwhile, knows no deadline for them, and is dead after `maxRetries` attempts.
 */
export class RedisConnection implements AsyncDisposable {
  readonly #origin: string;
  readonly #connectMs: number;
  #link: Link | null = null;

  constructor(
    private readonly options: RedisOptions,
    private readonly deps: RedisDeps,
  ) {
    this.#origin = `redis://${hostOf(options)}`;
    this.#connectMs = (deps.deadlines ?? defaultDeadlines).head;
  }

  /** One or a few commands under one deadline; errors are DewyErrors that begin with `doing`. */
  async run<T>(
    doing: string,
    limitMs: number,
    work: (commands: Commands) => Promise<T>,
    c: Call,
  ): Promise<T> {
    const { governor } = this.deps;
    return governed(governor, this.#origin, doing, () => this.#attempt(doing, limitMs, work, c), c);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#drop(this.#link);
  }

  async #attempt<T>(
    doing: string,
    limitMs: number,
    work: (commands: Commands) => Promise<T>,
    c: Call,
  ): Promise<T> {
    const deadline = new Watchdog(this.deps.clock, limitMs, () => this.#late(doing, limitMs));
    deadline.wait();
    const signal = AbortSignal.any([c.signal, deadline.signal]);
    this.#link ??= this.#connect(doing);
    const link = this.#link;
    try {
      await abortable(link.ready, signal);
      return await abortable(work(link.client), signal);
    } catch (error) {
      // Whether and when the answer comes is unknown; commands that wait behind it would be late too.
      if (deadline.signal.aborted) this.#drop(link);
      throw c.signal.aborted ? c.signal.reason : commandError(error, doing, this.options);
    } finally {
      deadline.stop();
    }
  }

  #late(doing: string, limitMs: number): DewyError {
    const text = `${doing}: no answer from redis at ${hostOf(this.options)} within ${limitMs / 1000}s`;
    return new DewyError("network-timeout", text);
  }

  #drop(link: Link | null): void {
    if (this.#link === link) this.#link = null;
    link?.client.close();
  }

  #connect(doing: string): Link {
    const limitMs = this.#connectMs;
    const client = new RedisClient(addressOf(this.options), {
      autoReconnect: false,
      maxRetries: 0,
      enableOfflineQueue: false,
      // The rest is for finding the cause.
      connectionTimeout: Math.floor(limitMs * 0.6),
    });
    const link: Link = { client, ready: this.#greet(client, doing, limitMs) };
    const forget = () => {
      if (this.#link === link) this.#link = null;
    };
    client.onclose = forget;
    // Whoever waits for it is told; here it is only no longer to be used.
    link.ready.catch(() => this.#drop(link));
    return link;
  }

  async #greet(client: RedisClient, doing: string, limitMs: number): Promise<void> {
    const { options } = this;
    try {
      await client.connect();
    } catch {
      throw await findCause(options, doing, Math.floor(limitMs * 0.3));
    }
    try {
      const server: unknown = await client.send("HELLO", []);
      const mode = typeof server === "object" && server !== null && "mode" in server ? server.mode : null;
      if (mode === "cluster") throw replyError("CLUSTERDOWN", doing, options);
      if (mode === "sentinel") throw sentinel(doing, options);
      // Bun's client would tell of a wrong number with the first command only, and leave the connection at 0.
      if (options.database !== 0) await client.send("SELECT", [String(options.database)]);
    } catch (error) {
      throw client.connected ? commandError(error, doing, options) : closedError(doing, options);
    }
  }
}

function addressOf(options: RedisOptions): string {
  const { tls, username, password } = options;
  const login =
    password === null ? "" : `${encodeURIComponent(username ?? "default")}:${encodeURIComponent(password)}@`;
  return `${tls ? "rediss" : "redis"}://${login}${hostOf(options)}`;
}

function sentinel(doing: string, options: RedisOptions): DewyError {
  return new DewyError("config-invalid", `${doing}: ${hostOf(options)} is a Redis Sentinel`, {
    hint: "name the primary itself in the cache URL",
  });
}
