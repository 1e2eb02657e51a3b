import { lstatSync } from "node:fs";
import type { Order } from "../../agent/orders/operations.ts";
import { isDenied, mayNotAsk, requireAccess } from "../../control/access.ts";
import { ask } from "../../control/client.ts";
import { findAgents } from "../../control/find.ts";
import { DewyError, toDewyError } from "../../errors.ts";
import type { Call } from "../../util/async.ts";
import { writeFileAtomic } from "../../util/fs.ts";
import type { Clock } from "../../util/time.ts";
import type { Watched } from "../configuration/watched.ts";
import { type Layout, layoutOf } from "../run/layout.ts";
import { Answer } from "./answer.ts";
import { showCheck } from "./check.ts";
import { readHistory, renderHistory } from "./history.ts";
import { showLogs } from "./logs.ts";
import { ProgressView } from "./progress.ts";
import { printable, renderJson } from "./render.ts";
import { withLocalTimes } from "./render-time.ts";
import type { OperatorRequest } from "./request.ts";
import { painted, type Screen } from "./screen.ts";
import { exitCodeOf, readStatus } from "./status.ts";
import { renderStatus } from "./status-text.ts";

export interface OperatorIo {
  /** For answers. */
  readonly out: Screen;
  /** For progress and what went wrong. */
  readonly err: Screen;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  /** What an agent started with the configuration file of `root` would watch; null: there is no such file. */
  readonly watched: (root: string) => Promise<Watched | null>;
}

/** What a command came to in one directory. */
export interface Reply {
  readonly exitCode: number;
  /** For `--json`. */
  readonly value: unknown;
  readonly text: string;
}

/** Carries a command out on one agent, or one after the other on all of this host; answers the worst exit code. */
export async function runOperator(request: OperatorRequest, io: OperatorIo, c: Call): Promise<number> {
  if (request.kind === "logs") return showLogs(request, io, c);
  if (request.root !== null) return runOne(request, request.root, io, c);
  const roots = findAgents();
  if (roots.length === 0) {
    throw new DewyError("no-agent", "no agent of this host can be seen", {
      hint: "another user's agents are seen by that user and by root",
    });
  }
  return runAll(request, roots, io, c);
}

async function runOne(request: OperatorRequest, root: string, io: OperatorIo, c: Call): Promise<number> {
  const answer = new Answer(io.out);
  const done = await reply(request, root, io, c).catch((error): never => {
    c.signal.throwIfAborted();
    if (request.json) answer.write(renderJson(errorValue(root, error)));
    throw error;
  });
  answer.write(request.json ? renderJson(done.value) : done.text);
  answer.end(doneText(request, [done]));
  return done.exitCode;
}

async function runAll(
  request: OperatorRequest,
  roots: readonly string[],
  io: OperatorIo,
  c: Call,
): Promise<number> {
  const answer = new Answer(io.out);
  const replies: Reply[] = [];
  for (const root of roots) {
    if (!request.json) {
      const gap = replies.length === 0 ? "" : "\n";
      answer.write(`${gap}${painted(`== ${printable(root)}`, "bold", io.out)}\n`);
    }
    const each = await reply(request, root, io, c).catch((error): Reply => {
      c.signal.throwIfAborted();
      const failure = toDewyError(error, root);
      const shown = (text: string) => printable(withLocalTimes(text, io.clock.now()));
      const hint = failure.hint === undefined ? "" : `Hint: ${shown(failure.hint)}\n`;
      const text = `Error: ${shown(failure.message)}\n${hint}`;
      return { exitCode: failure.exitCode, value: errorValue(root, failure), text };
    });
    if (!request.json) answer.write(each.text);
    replies.push(each);
  }
  if (request.json) answer.write(renderJson(replies.map(({ value }) => value)));
  answer.end(doneText(request, replies));
  return Math.max(...replies.map(({ exitCode }) => exitCode));
}

/** Who is not shown what became of an order is told at least that it need not be given again. */
function doneText({ kind }: OperatorRequest, replies: readonly Reply[]): string | null {
  if (kind !== "order") return null;
  const done = replies.filter(({ exitCode }) => exitCode === 0).length;
  const who = done === replies.length ? "" : ` by ${done} of ${replies.length} agents`;
  return `the order was carried out${who}`;
}

async function reply(request: OperatorRequest, root: string, io: OperatorIo, c: Call): Promise<Reply> {
  const layout = layoutOf(root);
  // The deploys that were are no secret of the agent's user.
  if (request.kind !== "history") requireAccess(root);
  switch (request.kind) {
    case "status": {
      const status = await readStatus(withAgent(layout), c);
      const text = renderStatus(status, io.out, io.clock.now());
      return { value: status, text, exitCode: exitCodeOf(status.health) };
    }
    case "history": {
      const deploys = readHistory(withAgent(layout), request.count);
      return { value: { root, deploys }, text: renderHistory(deploys, io.out), exitCode: 0 };
    }
    case "check":
      return showCheck(layout, request, io, c);
    case "order":
      return carryOut(request.order, layout, request.json, io, c);
    case "logs":
      throw new DewyError("config-invalid", "the records of several agents can't be told apart");
  }
}

async function carryOut(
  order: Order,
  layout: Layout,
  json: boolean,
  io: OperatorIo,
  c: Call,
): Promise<Reply> {
  const { root } = layout;
  const progress = json ? null : new ProgressView(io.err, io.clock, order.kind);
  try {
    const onProgress = progress?.show.bind(progress);
    const listener = onProgress === undefined ? {} : { onProgress };
    const { message } = await ask(root, { kind: "order", order }, listener, c);
    const text = `${printable(withLocalTimes(message, io.clock.now()))}\n`;
    return { value: { root, message }, text, exitCode: 0 };
  } catch (error) {
    c.signal.throwIfAborted();
    const isAlone = error instanceof DewyError && error.code === "no-agent";
    if (order.kind === "retry" && isAlone) return leaveRetryRequest(withAgent(layout));
    throw error;
  } finally {
    progress?.[Symbol.dispose]();
  }
}

/** For an agent that can't be asked, or the next one. */
function leaveRetryRequest({ root, retryRequest }: Layout): Reply {
  try {
    writeFileAtomic(retryRequest, "");
  } catch (error) {
    throw toDewyError(error, `write ${retryRequest}`);
  }
  const message = "The quarantine is lifted when an agent is started.";
  return { value: { root, message }, text: `${message}\n`, exitCode: 0 };
}

function withAgent(layout: Layout): Layout {
  try {
    lstatSync(layout.lock);
    return layout;
  } catch (error) {
    if (isDenied(error)) throw mayNotAsk(layout.root, error);
  }
  throw new DewyError("config-invalid", `no agent has run in ${layout.root}`, {
    hint: "name the agent's working directory with --root",
  });
}

function errorValue(root: string, error: unknown) {
  const { code, message, hint = null } = toDewyError(error, root);
  return { root, error: { code, message, hint } };
}
