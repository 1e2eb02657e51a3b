import { DewyError, messageOf, systemCode } from "../../errors.ts";
import { networkError } from "../../http/error.ts";
import { Watchdog } from "../../http/watchdog.ts";
import { abortable, type Call } from "../../util/async.ts";
import type { StoreDeps } from "../store.ts";
import { refusalOf } from "./answer.ts";
import { SendError } from "./transport.ts";

/** The library waits one second for an instance's metadata, but for ever for a task's or a role's endpoint. */
const limitMs = 15_000;
const hint =
  "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE with ~/.aws/credentials, or give the instance, task or pod a role";

/** What makes the library look in a certain place; these values hold no secret. */
const pointers = [
  "AWS_PROFILE",
  "AWS_SHARED_CREDENTIALS_FILE",
  "AWS_ROLE_ARN",
  "AWS_WEB_IDENTITY_TOKEN_FILE",
  "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
];
/** Might name a user and a password. */
const address = "AWS_CONTAINER_CREDENTIALS_FULL_URI";

/**
 * Has the library find its credentials (it keeps them) before it is asked for anything, with a deadline and an error
 * of their own. `find` is the client's provider.
 */
export async function ensureCredentials(
  find: () => Promise<unknown>,
  doing: string,
  { clock, env }: Pick<StoreDeps, "clock" | "env">,
  c: Call,
): Promise<void> {
  const looked = pointers.flatMap((name) => (env[name] ? [`${name}=${env[name]}`] : []));
  if (env[address]) looked.push(address);
  const where = looked.length === 0 ? "" : `; looked at ${looked.join(", ")}`;
  const silent = () =>
    new DewyError("network-timeout", `${doing}: nobody answered with AWS credentials${where}`, { hint });
  const deadline = new Watchdog(clock, limitMs, silent);
  deadline.wait();
  try {
    await abortable(find(), AbortSignal.any([c.signal, deadline.signal]));
  } catch (error) {
    c.signal.throwIfAborted();
    throw error instanceof DewyError ? error : explained(error, doing, where);
  } finally {
    deadline.stop();
  }
}

function explained(error: unknown, doing: string, where: string): DewyError {
  if (error instanceof SendError)
    return networkError(error.cause, `${doing}: ask for credentials`, error.host);
  const refusal = refusalOf(error);
  if (refusal !== null) {
    const code = refusal.code ?? `status ${refusal.status}`;
    return new DewyError("unauthorized", `${doing}: no AWS credentials for the role (${code})${where}`, {
      hint: "check that the role exists and trusts this host's identity, and that its token has not expired",
    });
  }
  // Other words than the system's own might quote a program's output.
  const reason = /^E[A-Z]+$/.test(systemCode(error) ?? "") ? ` (${messageOf(error)})` : "";
  return new DewyError("unauthorized", `${doing}: no AWS credentials found${reason}${where}`, { hint });
}
