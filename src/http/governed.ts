import { DewyError } from "../errors.ts";
import type { Call } from "../util/async.ts";
import { withWait } from "./error.ts";
import type { Governor } from "./governor.ts";

/**
 * One operation of a client that makes its requests itself (an SDK, gRPC, Redis): refused while `origin` is to be
 * left alone, its outcome counted. `work` throws DewyErrors. What HttpClient does for each of its own requests.
 */
export async function governed<T>(
  governor: Governor,
  origin: string,
  doing: string,
  work: () => Promise<T>,
  c: Call,
): Promise<T> {
  c.signal.throwIfAborted();
  governor.admit(origin, doing);
  try {
    const result = await work();
    governor.succeeded(origin);
    return result;
  } catch (error) {
    if (c.signal.aborted || !(error instanceof DewyError)) throw error;
    if (!count(governor, origin, error)) governor.succeeded(origin);
    throw withWait(error, governor.waitMs(origin));
  }
}

/** Whether the failure says that the origin is in trouble. */
function count(governor: Governor, origin: string, error: DewyError): boolean {
  switch (error.code) {
    case "network-unreachable":
    case "network-timeout":
      governor.failed(origin, "network", error.message);
      return true;
    case "rate-limited":
      governor.limited(origin, error.retryAfterMs ?? 60_000, "rate limit");
      return true;
    case "http-status":
    case "unauthorized":
      governor.failed(origin, "server", error.message);
      return true;
    default:
      return false;
  }
}
