import { join } from "node:path";
import { isLocked } from "../agent/lock.ts";
import type { OrderProgress } from "../agent/orders/operations.ts";
import { DewyError, isErrorCode } from "../errors.ts";
import type { Call } from "../util/async.ts";
import { build } from "../version.ts";
import { isDenied, mayNotAsk } from "./access.ts";
import { type Answers, type Hello, maxAnswerBytes, protocolVersion, type Question } from "./protocol.ts";
import { nobodyListens } from "./socket.ts";
import { notAnAgent, parseLine, parseResult, skew } from "./wire.ts";

/** The agent says every two seconds that it lives. */
const silentMs = 10_000;

export interface Listener {
  readonly onHello?: (hello: Hello) => void;
  readonly onProgress?: (progress: OrderProgress) => void;
  /** How long no sign of life is waited for; by default 10 s. */
  readonly patienceMs?: number;
}

type Asked<K extends keyof Answers> = Extract<Question, { readonly kind: K }>;

/** Where the agent of a directory is asked. */
export function socketOf(root: string): string {
  return join(root, ".dewy", "dewy.sock");
}

/**
 * Asks the agent of `root`. Rejects with the agent's own error, or with one of the way to it: `no-agent` nobody
 * listens, `filesystem` this user may not ask, `network-timeout` it hangs, `network-unreachable` it ended in the
 * middle, `bad-answer` what answers is no agent, `config-invalid` it is of another version.
 */
export async function ask<K extends keyof Answers>(
  root: string,
  question: Asked<K>,
  listener: Listener,
  c: Call,
): Promise<Answers[K]> {
  using watchdog = new Silence(listener.patienceMs ?? silentMs);
  const signal = AbortSignal.any([c.signal, watchdog.signal]);
  try {
    const response = await fetch("http://localhost/", {
      unix: socketOf(root),
      method: "POST",
      body: JSON.stringify({ protocol: protocolVersion, version: build.version, ask: question }),
      signal,
      redirect: "error",
    });
    if (response.body === null) throw notAnAgent();
    return await readAnswer(response.body, question.kind, listener, watchdog);
  } catch (error) {
    c.signal.throwIfAborted();
    if (watchdog.signal.aborted) throw hangs(root, watchdog.ms);
    throw failureOf(error, root);
  }
}

async function readAnswer<K extends keyof Answers>(
  body: ReadableStream<Uint8Array>,
  kind: K,
  listener: Listener,
  watchdog: Silence,
): Promise<Answers[K]> {
  let greeted = false;
  for await (const text of linesOf(body)) {
    watchdog.heard();
    const line = parseLine(text);
    if (!greeted && line.kind !== "hello") throw notAnAgent();
    switch (line.kind) {
      case "hello":
        greeted = true;
        if (line.protocol !== protocolVersion) throw skew({ agent: line.version, command: build.version });
        listener.onHello?.(line);
        break;
      case "alive":
        break;
      case "progress":
        listener.onProgress?.(line.progress);
        break;
      case "result":
        return parseResult(kind, line.result);
      case "error":
        // What was ordered is not done: no command may end as if it were.
        if (line.code === "stopped") throw cut();
        throw new DewyError(isErrorCode(line.code) ? line.code : "internal", line.message, {
          hint: line.hint ?? undefined,
        });
    }
  }
  throw greeted ? cut() : notAnAgent();
}

async function* linesOf(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > maxAnswerBytes) throw notAnAgent();
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
}

/** Aborts when nothing was heard for a while. */
class Silence implements Disposable {
  readonly #gone = new AbortController();
  #timer: Timer;

  constructor(readonly ms: number) {
    this.#timer = this.#start();
  }

  get signal(): AbortSignal {
    return this.#gone.signal;
  }

  heard(): void {
    clearTimeout(this.#timer);
    this.#timer = this.#start();
  }

  #start(): Timer {
    return setTimeout(() => this.#gone.abort(), this.ms);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}

function failureOf(error: unknown, root: string): unknown {
  if (error instanceof DewyError) return error;
  if (nobodyListens(error)) return nobody(root, error);
  if (isDenied(error)) return mayNotAsk(root, error);
  return cut(error);
}

function nobody(root: string, cause: unknown): DewyError {
  if (isLocked(join(root, ".dewy", "lock"))) {
    return new DewyError("no-agent", `the agent of ${root} has no control socket; its log says why`, {
      cause,
      hint: "one that was removed is made again within seconds: try again",
    });
  }
  return new DewyError("no-agent", `no agent runs in ${root}`, {
    cause,
    hint: "start it, or name its working directory with --root",
  });
}

function hangs(root: string, ms: number): DewyError {
  return new DewyError("network-timeout", `the agent of ${root} has said nothing for ${ms / 1000}s`, {
    hint: "look at its log (journalctl, or wherever its stderr goes); `dewy status` shows what is on disk",
  });
}

function cut(cause?: unknown): DewyError {
  return new DewyError("network-unreachable", "the agent ended before it had answered", {
    cause,
    hint: "`dewy status` and `dewy history` show what became of it",
  });
}
