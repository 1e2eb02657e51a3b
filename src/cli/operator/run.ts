import { systemClock } from "../../util/time.ts";
import { runOperator } from "./operator.ts";
import type { OperatorRequest } from "./request.ts";
import { screenOf } from "./screen.ts";

interface Terminal {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
}

/** As a shell counts a command that was interrupted. */
const interruptedCode = 130;

/** Interrupted, it stops waiting: what the agent has begun goes on. */
export async function runOnTerminal(
  request: OperatorRequest,
  { env, stdout, stderr }: Terminal,
): Promise<number> {
  const interrupt = new AbortController();
  const onSignal = () => interrupt.abort();
  process.once("SIGINT", onSignal);
  process.once("SIGTERM", onSignal);
  const out = screenOf(process.stdout, stdout, env);
  const err = screenOf(process.stderr, stderr, env);
  try {
    return await runOperator(request, { out, err, env, clock: systemClock }, interrupt);
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
