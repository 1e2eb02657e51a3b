import type { Call } from "../util/async.ts";
import type { Notice } from "./notice.ts";

/**
 * One service that tells people. It sends one notice at a time, when it is told to; the outbox keeps, orders, holds
 * back and tries again. Every implementation passes test/notify/contract.ts.
 */
export interface Notifier extends AsyncDisposable {
  /** For logs: `slack://channel`, without anything secret. */
  readonly name: string;
  /**
   * Resolves once the service has taken the notice. Rejects with a DewyError: `retryable` (and `retryAfterMs` where the
   * service named a time) when the same notice may pass later, else it never will.
   */
  notify(notice: Notice, c: Call): Promise<void>;
}
