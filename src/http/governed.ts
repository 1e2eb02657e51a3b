import { DewyError } from "../errors.ts";
import type { Call } from "../util/async.ts";
import { isDeadline, withWait } from "./error.ts";
import type { Governor } from "./governor.ts";

/** Thrown by an operation: a failure that says nothing about the origin, such as a right these credentials lack. */
export class Harmless {
  constructor(readonly failure: DewyError) {}
}

/**
 * One operation of a client that makes its requests itself (an SDK, gRPC, Redis): refused while `origin` is to be
 * left alone, its outcome counted. `work` throws DewyErrors, or one in a Harmless. What HttpClient does for each of its own requests.
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
    if (c.signal.aborted) {
      countDeadline(governor, origin, c);
      throw error;
    }
    if (error instanceof Harmless) {
      governor.succeeded(origin);
      throw error.failure;
    }
    if (!(error instanceof DewyError)) throw error;
    if (!count(governor, origin, error)) governor.succeeded(origin);
    throw withWait(error, governor.waitMs(origin));
  }
}

/** The caller's patience may be shorter than the client's: silence is the origin's all the same. */
function countDeadline(governor: Governor, origin: string, c: Call): void {
  if (isDeadline(c.signal.reason)) governor.failed(origin, "network", "no answer before a deadline");
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
    case "unauthorized":
      governor.failed(origin, "server", error.message);
      return true;
    case "http-status":
      // What is refused for what it asks says nothing about the next question.
      if (!error.retryable) return false;
      governor.failed(origin, "server", error.message);
      return true;
    default:
      return false;
  }
}
