import { ask } from "../../control/client.ts";
import type { LogPage, Question } from "../../control/protocol.ts";
import { DewyError, type ErrorCode } from "../../errors.ts";
import type { Call } from "../../util/async.ts";
import type { OperatorIo } from "./operator.ts";
import { printable } from "./render.ts";
import type { OperatorRequest } from "./request.ts";

const followEveryMs = 500;
/** More than are ever kept. */
const all = 100_000;
/** What asking an agent that is gone, or goes just then, fails with. */
const ended: ReadonlySet<ErrorCode> = new Set(["no-agent", "network-unreachable"]);

/** `dewy logs`: the records as the agent's log prints them; with `--json` a JSON object a line. */
export async function showLogs(
  request: Extract<OperatorRequest, { kind: "logs" }>,
  io: Pick<OperatorIo, "out" | "err" | "clock">,
  c: Call,
): Promise<number> {
  const { root, json, level, follow } = request;
  if (root === null) throw new DewyError("config-invalid", "--all is no flag of logs");
  const wanted = { kind: "logs", level, format: json ? "json" : "text" } as const;
  const first = await askPage(root, { ...wanted, count: request.count, after: null }, c);
  const isRead = show(first.page, io);
  if (follow && isRead)
    await followOn(root, { ...wanted, count: all, after: first.page.last }, first.pid, io, c);
  return 0;
}

/** Until the agent ends or nobody reads it. Another agent numbers its records anew: it is not followed. */
async function followOn(
  root: string,
  question: LogQuestion,
  pid: number,
  io: Pick<OperatorIo, "out" | "err" | "clock">,
  c: Call,
): Promise<void> {
  let { after } = question;
  for (;;) {
    await io.clock.sleep(followEveryMs, c.signal);
    const next = await askPage(root, { ...question, after }, c).catch((error) => {
      if (error instanceof DewyError && ended.has(error.code)) return null;
      throw error;
    });
    if (next === null || next.pid !== pid) {
      const another = next === null ? "" : "; another one runs now";
      io.err.write(`The agent (pid ${pid}) has ended${another}.\n`);
      return;
    }
    if (!show(next.page, io)) return;
    after = next.page.last;
  }
}

type LogQuestion = Extract<Question, { kind: "logs" }>;

async function askPage(
  root: string,
  question: LogQuestion,
  c: Call,
): Promise<{ page: LogPage; pid: number }> {
  let pid = 0;
  const onHello = (hello: { readonly pid: number }) => {
    pid = hello.pid;
  };
  return { page: await ask(root, question, { onHello }, c), pid };
}

function show({ lines }: LogPage, { out }: Pick<OperatorIo, "out">): boolean {
  return lines.length === 0 || out.write(lines.map((line) => `${printable(line)}\n`).join(""));
}
