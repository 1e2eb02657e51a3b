/** An answer worth asking about again with If-None-Match. */
interface Remembered {
  readonly etag: string;
  readonly value: unknown;
  readonly cost: number;
}

/** Answers by URL and credential, the least recently used forgotten first once their cost passes the limit. */
export class HttpMemory {
  readonly #answers = new Map<string, Remembered>();
  readonly #maxCost: number;
  #cost = 0;

  constructor(maxCost: number) {
    this.#maxCost = maxCost;
  }

  recall(key: string): { readonly etag: string; readonly value: unknown } | null {
    const answer = this.#answers.get(key);
    if (answer === undefined) return null;
    this.#answers.delete(key);
    this.#answers.set(key, answer);
    return answer;
  }

  /** `cost` in about bytes. One that alone passes the limit is not kept. */
  remember(key: string, etag: string, value: unknown, cost: number): void {
    this.forget(key);
    if (cost > this.#maxCost) return;
    this.#answers.set(key, { etag, value, cost });
    this.#cost += cost;
    for (const oldest of this.#answers.keys()) {
      if (this.#cost <= this.#maxCost) break;
      this.forget(oldest);
    }
  }

  forget(key: string): void {
    this.#cost -= this.#answers.get(key)?.cost ?? 0;
    this.#answers.delete(key);
  }
}
