import type { Delivery } from "../../activate/delivery.ts";
import type { Announcer } from "../../agent/announce.ts";
import { DewyError, toDewyError } from "../../errors.ts";
import type { Log } from "../../log.ts";
import type { Call } from "../../util/async.ts";
import type { Clock } from "../../util/time.ts";

/** What Go calls them, which is how the original's messages name them. */
const stopSignals = { SIGINT: "interrupt", SIGTERM: "terminated", SIGQUIT: "quit" } as const;

const restartFailed = "Restart failed; the app goes on as it was";

type RestartSignal = "SIGHUP" | "SIGUSR1";

/**
 * An agent's signals, from its first moment to its last: while the app is stopped, too, a SIGHUP (a closing
 * terminal, systemd's SendSIGHUP) must not end the agent and leave the app behind.
 */
export class AgentSignals implements Disposable {
  readonly #stop = new AbortController();
  readonly #hurry = new AbortController();
  readonly #handlers = new Map<NodeJS.Signals, () => void>();
  #restart: ((signal: RestartSignal) => Promise<void>) | null = null;
  #restarting = false;
  /** Came while a restart was under way: however many, one more restart serves them all. */
  #due: RestartSignal | null = null;

  constructor() {
    for (const [signal, name] of Object.entries(stopSignals)) {
      const reason = new DewyError("stopped", `Stop receiving by ${name} signal`);
      this.#handlers.set(signal as keyof typeof stopSignals, () => {
        if (this.#stop.signal.aborted) this.#hurry.abort(reason);
        this.#stop.abort(reason);
      });
    }
    for (const signal of ["SIGHUP", "SIGUSR1"] as const) {
      this.#handlers.set(signal, () => void this.#onRestart(signal));
    }
    for (const [signal, handler] of this.#handlers) process.on(signal, handler);
  }

  /** Aborts when the agent is to end; the reason is the message people get. */
  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  /** Aborts when somebody has asked for the end a second time. */
  get hurry(): AbortSignal {
    return this.#hurry.signal;
  }

  /** From now on SIGHUP restarts the app; SIGUSR1 too, and people are told. */
  restarts(delivery: Delivery, announcer: Announcer, log: Log): void {
    this.#restart = async (signal) => {
      try {
        await delivery.restart(this);
        if (signal === "SIGUSR1") announcer.tell({ kind: "restarted", signal });
      } catch (error) {
        if (this.signal.aborted) return;
        log.error(restartFailed, { error: toDewyError(error, "restart").message });
      }
    };
  }

  [Symbol.dispose](): void {
    for (const [signal, handler] of this.#handlers) process.off(signal, handler);
  }

  async #onRestart(signal: RestartSignal): Promise<void> {
    if (this.signal.aborted) return;
    this.#due = this.#due === "SIGUSR1" ? this.#due : signal;
    if (this.#restarting) return;
    this.#restarting = true;
    while (this.#due !== null && !this.signal.aborted) {
      const due = this.#due;
      this.#due = null;
      await this.#restart?.(due);
    }
    this.#restarting = false;
  }
}

/** server-starter's ENABLE_AUTO_RESTART: a new process every so often, for apps that grow old badly. */
export async function restartPeriodically(
  delivery: Delivery,
  everyMs: number,
  deps: { readonly clock: Clock; readonly log: Log },
  c: Call,
): Promise<void> {
  while (!c.signal.aborted) {
    try {
      await deps.clock.sleep(everyMs, c.signal);
      deps.log.info("Automatic restart");
      await delivery.restart(c);
    } catch (error) {
      if (c.signal.aborted) return;
      deps.log.error(restartFailed, { error: toDewyError(error, "restart").message });
    }
  }
}
