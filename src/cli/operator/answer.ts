import { DewyError, toDewyError } from "../../errors.ts";
import type { Screen } from "./screen.ts";

/** What is written of a command's outcome. What can't be written keeps nothing from being carried out. */
export class Answer {
  #failure: DewyError | null = null;

  constructor(private readonly out: Pick<Screen, "write">) {}

  /** Fails at the end; after a failure nothing is written any more, so that no part is missing in the middle. */
  write(text: string): void {
    if (this.#failure !== null) return;
    try {
      this.out.write(text);
    } catch (error) {
      this.#failure = toDewyError(error, "write the output");
    }
  }

  /** Throws where not all was written. `done`: what has happened nevertheless; null: nothing that counts. */
  end(done: string | null): void {
    if (this.#failure === null) return;
    if (done === null) throw this.#failure;
    const { code, message, hint } = this.#failure;
    throw new DewyError(code, `${done}, but ${message}`, { cause: this.#failure, hint });
  }
}
