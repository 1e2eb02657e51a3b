import { listeningByDiag } from "./sock-diag.ts";
import { type ListeningSocket, parseSocketTable, readTcpTables } from "./socket-table.ts";
import type { Clock } from "./time.ts";

/** A reading serves whoever asks within this time of its end, and for longer where it was dear. */
const freshMs = 20;
/** At most one part in so many of the time goes into readings. */
const restsPerCost = 25;
const stalestMs = 2000;

interface Reading {
  readonly sockets: readonly ListeningSocket[] | null;
  readonly untilMs: number;
}

/**
 * What listens in this process's network, for all who ask again and again. Where only the tables tell, with many
 * connections on the host they are megabytes, and take the kernel as long as a second: they are read beside the event
 * loop, one reading serves everybody, and the dearer they are the longer it does.
 */
export class SocketTables {
  #last: Reading | null = null;
  #reading: Promise<Reading> | null = null;

  constructor(
    private readonly clock: Pick<Clock, "monotonicMs">,
    private readonly read: () => Promise<readonly ListeningSocket[] | null> = readListening,
  ) {}

  /** As of at most two seconds ago; null: there is no /proc. */
  async listening(): Promise<readonly ListeningSocket[] | null> {
    const last = this.#last;
    if (last !== null && this.clock.monotonicMs() < last.untilMs) return last.sockets;
    this.#reading ??= this.#readAnew().finally(() => {
      this.#reading = null;
    });
    return (await this.#reading).sockets;
  }

  async #readAnew(): Promise<Reading> {
    const sinceMs = this.clock.monotonicMs();
    const sockets = await this.read();
    const nowMs = this.clock.monotonicMs();
    const restMs = Math.min(stalestMs, Math.max(freshMs, restsPerCost * (nowMs - sinceMs)));
    this.#last = { sockets, untilMs: nowMs + restMs };
    return this.#last;
  }
}

async function readListening(): Promise<ListeningSocket[] | null> {
  const told = listeningByDiag();
  if (told !== null) return told;
  const tables = await readTcpTables();
  return tables === null ? null : parseSocketTable(tables);
}
