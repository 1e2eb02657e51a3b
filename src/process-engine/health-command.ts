import { messageOf } from "../errors.ts";
import { checkCommand } from "../health/command.ts";
import type { Probed } from "../health/policy.ts";
import { type AppEnvironment, appEnvironment, checkedVariable } from "../process/environment.ts";
import type { Call } from "../util/async.ts";
import type { Clock } from "../util/time.ts";
import type { Copy } from "./copy.ts";

/**
 * An operator's check of one copy: it is told the process and its first port, and has the app's environment, but not
 * the copy's mark: a check that outlives a killed agent is none of the app's processes.
 */
export async function checkCopy(
  { run, identity }: Pick<Copy, "run" | "identity">,
  command: string,
  { environment, clock }: { readonly environment: AppEnvironment; readonly clock: Clock },
  limitMs: number,
  c: Call,
): Promise<Probed> {
  if (run === null) return { ok: false, seen: "it does not run" };
  const [port] = identity.ports;
  const told = {
    [checkedVariable]: String(run.pid),
    ...(port === undefined ? {} : { DEWY_PORT: String(port.hostPort) }),
  };
  try {
    const { root, user } = environment;
    const env = appEnvironment(environment, told);
    return await checkCommand({ command, root, env, user }, limitMs, clock, c);
  } catch (error) {
    c.signal.throwIfAborted();
    return { ok: false, seen: messageOf(error) };
  }
}
