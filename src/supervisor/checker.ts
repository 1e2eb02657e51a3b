import { messageOf } from "../errors.ts";
import { checkCommand } from "../health/command.ts";
import { type Endpoint, urlOf } from "../health/dial.ts";
import { lackIn } from "../health/hindrance.ts";
import { checkHttp } from "../health/http.ts";
import type { Probed } from "../health/policy.ts";
import { checkedVariable } from "../process/environment.ts";
import type { Call } from "../util/async.ts";
import type { Clock } from "../util/time.ts";
import type { User } from "../util/user.ts";
import { whileHeld } from "./hold-still.ts";
import { askOwn, type OwnProbe } from "./probe-own.ts";

export interface HealthOptions {
  /** GET this; null: nothing is asked by HTTP. */
  readonly path: string | null;
  /** For `/bin/sh -c`; null: none. */
  readonly command: string | null;
  /** From its start until a generation must be well. */
  readonly timeoutMs: number;
  readonly intervalMs: number;
  /** So many good checks in a row make a new generation well. */
  readonly passes: number;
  /** So many failed ones in a row make one that is on probation sick. */
  readonly threshold: number;
}

/** What is checked: a generation and what it listens on. */
export interface Subject {
  readonly pid: number;
  /** On the clock's monotonic scale. */
  readonly startedMs: number;
  /** null: it listens nowhere. */
  readonly endpoint: Endpoint | null;
  /** The leaders of the others that have the same listeners now. */
  others(): readonly number[];
  /** What a health command finds in its environment. Fails when it can't be read. */
  environment(): Readonly<Record<string, string | undefined>>;
}

/** How a check is made. */
export interface Manner {
  /** Whether the generation itself must have answered, where others could have. */
  readonly proof: boolean;
  /** How many connections to try at once for it. */
  readonly width: number;
  /** Whether the others are to be held still meanwhile. */
  readonly hold?: boolean;
  readonly limitMs: number;
}

/** All checks that were made. */
export interface HealthCounts {
  readonly checks: number;
  readonly failures: number;
}

export interface CheckerOptions {
  readonly health: HealthOptions;
  readonly root: string;
  readonly user: User | null;
}

/** Looks once whether a generation is well. What counts is all that is configured, the cheap first. */
export class Checker {
  #checks = 0;
  #failures = 0;

  constructor(
    private readonly options: CheckerOptions,
    private readonly clock: Clock,
  ) {}

  get counts(): HealthCounts {
    return { checks: this.#checks, failures: this.#failures };
  }

  /** Fails only when `c` aborts. */
  async check(subject: Subject, manner: Manner, c: Call): Promise<OwnProbe> {
    const result = await this.#check(subject, manner, c);
    if (result.kind === "asked" && result.probed.unasked !== true) {
      this.#checks += 1;
      if (!result.probed.ok) this.#failures += 1;
    }
    return result;
  }

  /** What is asked, for the log. */
  urlOf({ endpoint }: Subject): string | undefined {
    const { path } = this.options.health;
    return path === null || endpoint === null ? undefined : urlOf(endpoint, path);
  }

  /** The command alone: who answers it needs no proof. */
  async command(subject: Subject, limitMs: number, c: Call): Promise<Probed | null> {
    const { root, user, health } = this.options;
    if (health.command === null) return null;
    try {
      const env = { ...subject.environment(), [checkedVariable]: String(subject.pid), ...addressOf(subject) };
      return await checkCommand({ command: health.command, root, env, user }, limitMs, this.clock, c);
    } catch (error) {
      c.signal.throwIfAborted();
      return { ok: false, seen: messageOf(error), unasked: lackIn(error) !== null };
    }
  }

  async #check(subject: Subject, manner: Manner, c: Call): Promise<OwnProbe> {
    const http = await this.#http(subject, manner, c);
    if (http !== null && (http.kind !== "asked" || !http.probed.ok)) return http;
    const probed = await this.command(subject, manner.limitMs, c);
    if (probed === null) return http ?? asked({ ok: true, seen: "it runs" });
    return asked(probed.ok && http?.kind === "asked" ? http.probed : probed);
  }

  async #http(subject: Subject, manner: Manner, c: Call): Promise<OwnProbe | null> {
    const { proof, width, hold = false, limitMs } = manner;
    const { path } = this.options.health;
    const { endpoint, pid } = subject;
    if (path === null || endpoint === null) return null;
    const others = subject.others();
    if (!proof || others.length === 0) {
      return asked(await checkHttp(endpoint, { path, greeting: "" }, limitMs, c));
    }
    // The kernel does not say whose a unix socket's client is.
    if ("unix" in endpoint) return { kind: "untold" };
    const ask = () => askOwn({ address: endpoint, path, pid, others }, width, limitMs, this.clock, c);
    return hold ? await whileHeld(others, this.clock, ask) : await ask();
  }
}

function asked(probed: Probed): OwnProbe {
  return { kind: "asked", probed };
}

function addressOf({ endpoint }: Subject): Record<string, string> {
  if (endpoint === null) return {};
  return "unix" in endpoint ? { DEWY_SOCKET: endpoint.unix } : { DEWY_PORT: String(endpoint.port) };
}
