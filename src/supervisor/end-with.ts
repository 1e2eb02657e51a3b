import { DewyError } from "../errors.ts";
import { describeExit } from "../process/process.ts";
import type { Generation } from "./generation.ts";

/**
 * Gives up `over` when what serves ends: clients wait for it, and it can only be started again once this is over.
 * That is no fault of the new version's, as far as anybody can tell. `when`: `while the new version was rehearsed`.
 */
export function endWith(serving: Generation, over: AbortController, when: string): void {
  void serving.exited.then((exit) =>
    over.abort(
      new DewyError("internal", `the server that runs ${describeExit(exit)} ${when}`, {
        hint: "it is started again, and the new version is tried again later",
      }),
    ),
  );
}
