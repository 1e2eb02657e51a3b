import { ask } from "../../control/client.ts";
import type { LogPage } from "../../control/protocol.ts";
import { DewyError } from "../../errors.ts";
import type { Call } from "../../util/async.ts";
import type { OperatorIo } from "./operator.ts";
import { printable } from "./render.ts";
import type { OperatorRequest } from "./request.ts";

const followEveryMs = 500;

/** `dewy logs`: the records as the agent's log prints them; with `--json` a JSON object a line. */
export async function showLogs(
  request: Extract<OperatorRequest, { kind: "logs" }>,
  { out, clock }: Pick<OperatorIo, "out" | "clock">,
  c: Call,
): Promise<number> {
  const { root, json, level, follow } = request;
  if (root === null) throw new DewyError("config-invalid", "--all is no flag of logs");
  const format = json ? "json" : "text";
  let count = request.count;
  let after: number | null = null;
  for (;;) {
    const page: LogPage = await ask(root, { kind: "logs", count, level, format, after }, {}, c);
    for (const line of page.lines) out.write(`${printable(line)}\n`);
    if (!follow) return 0;
    after = page.last;
    count = 100_000;
    await clock.sleep(followEveryMs, c.signal);
  }
}
