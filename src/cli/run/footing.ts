import type { HeldLock } from "../../agent/lock.ts";
import { DewyError, messageOf } from "../../errors.ts";
import type { Log } from "../../log.ts";
import type { Call } from "../../util/async.ts";
import type { Clock } from "../../util/time.ts";
import type { Control } from "./control.ts";

const everyMs = 2000;

/** The agent's lock and socket. They are files: whoever cleans up may remove them while it runs. */
export class Footing {
  #lost: DewyError | null = null;
  #trouble: string | null = null;

  constructor(
    private readonly parts: {
      readonly lock: HeldLock;
      readonly control: Pick<Control, "ensure">;
      readonly log: Log;
      readonly clock: Clock;
    },
  ) {}

  /** Restores what was removed; rejects with `lock-held` once another agent has come in, and when `c` aborts. */
  async keep(c: Call): Promise<never> {
    for (;;) {
      await this.parts.clock.sleep(everyMs, c.signal);
      if (this.isLost() && this.#lost !== null) throw this.#lost;
      await this.parts.control.ensure();
    }
  }

  /** Another agent has come in: app, ports and files are its own by now. */
  isLost(): boolean {
    if (this.#lost !== null) return true;
    const { lock, log } = this.parts;
    try {
      if (lock.renew()) {
        log.warn("The lock was removed; it is taken anew", {
          hint: "leave the files in .dewy of an agent that runs alone: without its lock another one can start",
        });
      }
      this.#trouble = null;
    } catch (error) {
      if (!(error instanceof DewyError) || error.code !== "lock-held") {
        this.#tell(messageOf(error));
        return false;
      }
      this.#lost = lostTo(error);
      log.warn("This agent ends and leaves the app to another one", { reason: this.#lost.message });
    }
    return this.#lost !== null;
  }

  #tell(trouble: string): void {
    if (trouble === this.#trouble) return;
    this.parts.log.warn("The lock can't be taken anew: another agent could start", { error: trouble });
    this.#trouble = trouble;
  }
}

function lostTo(cause: DewyError): DewyError {
  return new DewyError("lock-held", `the lock was removed, and ${cause.message}`, {
    cause,
    hint: "the app is left to that one; stop it before this one is started again",
  });
}
