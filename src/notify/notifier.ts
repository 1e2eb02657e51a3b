import { DewyError, type ErrorCode } from "../errors.ts";
import type { Call } from "../util/async.ts";
import type { Notice } from "./notice.ts";

/**
 * One service that tells people. It sends one notice at a time, when it is told to; the outbox keeps, orders, holds
 * back and tries again. Every implementation passes test/notify/contract.ts.
 */
export interface Notifier extends AsyncDisposable {
  /** For logs: `slack://channel`, without anything secret. */
  readonly name: string;
  /** Where it sends to, whatever a message looks like and whichever are sent. May hold secrets: for cursorKeys() only. */
  readonly identity: string;
  /** How long the service may take for one notice; who gives up too soon sends again what is being taken. */
  readonly deadlineMs: number;
  /**
   * Resolves once the service has taken the notice. Rejects with a DewyError: `retryable` (and `retryAfterMs` where the
   * service named a time) when the same notice may pass later by itself; a MessageRefused when it never will; any other
   * when somebody has to put something right first: a token, a channel, an address.
   */
  notify(notice: Notice, c: Call): Promise<void>;
}

/** The service takes messages, but not this one, however often it is sent. */
export class MessageRefused extends DewyError {
  constructor(code: ErrorCode, message: string, hint?: string) {
    super(code, message, { hint, retryable: false });
  }
}
