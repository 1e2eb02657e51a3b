import { messageOf } from "../errors.ts";
import type { Log } from "../log.ts";
import type { Copy } from "./copy.ts";
import type { ProcessRecord } from "./record.ts";

/** Every copy of the app that is known, and the record a successor finds them by. */
export class Copies {
  readonly #byId = new Map<string, Copy>();
  #isStopping = false;

  /** `keeper`: from keeperOf(). */
  constructor(
    private readonly keeper: string | null,
    private readonly deps: { readonly record: ProcessRecord; readonly log: Log },
  ) {}

  get all(): readonly Copy[] {
    return [...this.#byId.values()];
  }

  get(id: string): Copy | undefined {
    return this.#byId.get(id);
  }

  add(copy: Copy): void {
    this.#byId.set(copy.identity.id, copy);
  }

  delete(id: string): void {
    this.#byId.delete(id);
    this.note();
  }

  /** From now on the end of it, or of any where none is named, is no crash to a successor either. */
  beginStop(copy?: Copy): void {
    if (copy === undefined) this.#isStopping = true;
    else copy.beginStop();
    this.note();
  }

  /**
   * With what is about to be spawned. A record that can't be written must not keep the app from running: it only serves
   * a successor.
   */
  note(spawning?: Copy): void {
    const running = this.all.filter((copy) => copy.run !== null || copy === spawning);
    const processes = running.map(({ record }) => ({
      ...record,
      stopping: record.stopping || this.#isStopping,
    }));
    try {
      this.deps.record.write({ processes, keeper: this.keeper });
    } catch (error) {
      this.deps.log.warn("Record of processes not written", { error: messageOf(error) });
    }
  }
}
