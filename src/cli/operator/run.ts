import { systemClock } from "../../util/time.ts";
import { type OperatorIo, runOperator } from "./operator.ts";
import type { OperatorRequest } from "./request.ts";
import { type Screen, screenOf } from "./screen.ts";

interface Terminal extends Pick<OperatorIo, "env" | "watched"> {
  readonly stdout: Screen["write"];
  readonly stderr: Screen["write"];
}

/** As a shell counts a command that was interrupted. */
const interruptedCode = 130;

/** Interrupted, it stops waiting: what the agent has begun goes on. */
export async function runOnTerminal(
  request: OperatorRequest,
  { env, stdout, stderr, watched }: Terminal,
): Promise<number> {
  const interrupt = new AbortController();
  const onSignal = () => interrupt.abort();
  process.once("SIGINT", onSignal);
  process.once("SIGTERM", onSignal);
  const out = screenOf(process.stdout, stdout, env);
  const err = screenOf(process.stderr, stderr, env);
  try {
    return await runOperator(request, { out, err, env, clock: systemClock, watched }, interrupt);
  } catch (error) {
    if (!interrupt.signal.aborted) throw error;
    if (request.kind === "order")
      err.write("Interrupted: what the agent has begun goes on; see `dewy status`.\n");
    return interruptedCode;
  } finally {
    process.off("SIGINT", onSignal);
    process.off("SIGTERM", onSignal);
  }
}
