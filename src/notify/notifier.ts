import type { DeployEvent } from "../events.ts";
import type { Call } from "../util/async.ts";

/** Tells people. Every implementation passes test/notify/contract.ts. */
export interface Notifier extends AsyncDisposable {
  notify(event: DeployEvent, c: Call): Promise<void>;
}

/** Where no `--notifier` is given. */
export const nullNotifier: Notifier = {
  async notify() {},
  async [Symbol.asyncDispose]() {},
};
