import { rmSync } from "node:fs";
import type { Operations } from "../agent/orders/operations.ts";
import { DewyError, messageOf, toDewyError } from "../errors.ts";
import type { Log } from "../log.ts";
import { abortable } from "../util/async.ts";
import type { Clock } from "../util/time.ts";
import { AnswerStream } from "./answer-stream.ts";
import { maxRequestBytes, protocolVersion, type Question } from "./protocol.ts";
import type { RecentRecords } from "./recent.ts";
import { inodeOf, listenPrivately } from "./socket.ts";
import { parseQuestion } from "./wire.ts";

/** What Bun closes a connection after that says nothing, and what is given one that takes nothing. */
const idleSeconds = 10;
const bodyMs = 5_000;
const maxAnswers = 32;

export interface ControlSource {
  readonly operations: Operations;
  readonly recent: Pick<RecentRecords, "page">;
  readonly version: string;
  readonly root: string;
}

export interface OpenControl extends AsyncDisposable {
  /** Makes the socket anew where it was removed or replaced; answers whether it was. Fails as `open` does. */
  restore(): Promise<boolean>;
}

/** `.dewy/dewy.sock`: what an operator asks of the running agent. Whoever may open the socket may ask anything. */
export class ControlServer implements AsyncDisposable {
  readonly #source: ControlSource;
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #answers = new Set<AnswerStream>();
  readonly #ended = new AbortController();

  private constructor(source: ControlSource, log: Log, clock: Clock) {
    this.#source = source;
    this.#log = log;
    this.#clock = clock;
  }

  /** `lock-held` where another agent answers, `filesystem` where the socket can't be made. */
  static async open(path: string, source: ControlSource, log: Log, clock: Clock): Promise<OpenControl> {
    const control = new ControlServer(source, log, clock);
    let { server, inode } = await control.#listen(path);
    return {
      async restore() {
        if (inodeOf(path) === inode) return false;
        const before = server;
        ({ server, inode } = await control.#listen(path));
        // What it answers now it answers to the end.
        void before.stop();
        return true;
      },
      async [Symbol.asyncDispose]() {
        if (inodeOf(path) === inode) rmSync(path, { force: true });
        await control[Symbol.asyncDispose]();
        await server.stop(true);
      },
    };
  }

  async #listen(path: string) {
    const server = await listenPrivately(path, (unix) =>
      Bun.serve({
        unix,
        development: false,
        maxRequestBodySize: maxRequestBytes,
        fetch: (request, listening) => this.#answer(request, listening),
      }),
    );
    return { server, inode: inodeOf(path) };
  }

  async #answer(request: Request, server: Bun.Server<undefined>): Promise<Response> {
    const { signal } = this.#ended;
    let question: Question;
    try {
      const body = await abortable(request.text(), AbortSignal.any([signal, AbortSignal.timeout(bodyMs)]));
      question = parseQuestion(body, this.#source.version);
      if (this.#answers.size >= maxAnswers) throw tooMany();
    } catch (error) {
      return this.#refusal(error);
    }
    // An order may take long; the stream itself shows that the agent lives.
    server.timeout(request, 0);
    const answer = new AnswerStream(this.#hello(), this.#clock, () => {
      this.#answers.delete(answer);
      // A reader that does not take the last of it is not waited for.
      if (!signal.aborted) server.timeout(request, idleSeconds);
    });
    this.#answers.add(answer);
    void this.#carryOut(question, answer);
    return new Response(answer.body, { headers: { "Content-Type": "application/x-ndjson" } });
  }

  async #carryOut(question: Question, answer: AnswerStream): Promise<void> {
    const { operations, recent } = this.#source;
    try {
      answer.end({ kind: "result", result: await this.#resultOf(question, answer, operations, recent) });
    } catch (error) {
      const failure = toDewyError(error, "carry out the order");
      if (failure.code === "internal") this.#log.warn("Control request failed", { error: messageOf(error) });
      answer.end(errorLine(failure));
    }
  }

  #resultOf(
    question: Question,
    answer: AnswerStream,
    operations: Operations,
    recent: ControlSource["recent"],
  ): unknown {
    switch (question.kind) {
      case "view":
        return operations.view();
      case "logs":
        return recent.page(question);
      case "check":
        return operations.check({ signal: answer.signal });
      case "order": {
        this.#log.info("Order received", { order: question.order.kind });
        return operations.carryOut(question.order, (progress) => answer.progress(progress), {
          signal: answer.signal,
        });
      }
    }
  }

  #hello() {
    const { version, root } = this.#source;
    return { protocol: protocolVersion, version, root, pid: process.pid };
  }

  #refusal(error: unknown): Response {
    const failure = toDewyError(error, "read the question");
    this.#log.debug("Control request refused", { reason: failure.message });
    const lines = [{ kind: "hello", ...this.#hello() }, errorLine(failure)];
    return new Response(lines.map((line) => `${JSON.stringify(line)}\n`).join(""), {
      headers: { "Content-Type": "application/x-ndjson" },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort();
    for (const answer of this.#answers) answer.end(errorLine(new DewyError("stopped", "the agent ends")));
  }
}

function errorLine({ code, message, hint }: DewyError) {
  return { kind: "error", code, message, hint: hint ?? null } as const;
}

function tooMany(): DewyError {
  return new DewyError("rate-limited", `the agent answers ${maxAnswers} commands already`, {
    hint: "end the commands that wait for it",
  });
}
