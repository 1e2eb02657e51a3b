type Labels = Readonly<Record<string, string | number>>;

/** What OpenTelemetry calls a histogram's value: counts by bucket, one more than there are boundaries. */
export interface Distribution {
  readonly buckets: { boundaries: number[]; counts: number[] };
  readonly sum: number;
  readonly count: number;
}

/** One series of a histogram. */
export class Buckets {
  readonly #counts: number[];
  #sum = 0;
  #count = 0;

  constructor(
    readonly labels: Labels,
    private readonly boundaries: readonly number[],
  ) {
    this.#counts = new Array<number>(boundaries.length + 1).fill(0);
  }

  /** Called on hot paths. A boundary belongs to the bucket below it. */
  add(value: number): void {
    const { boundaries } = this;
    let index = 0;
    while (index < boundaries.length && value > (boundaries[index] ?? 0)) index++;
    this.#counts[index] = (this.#counts[index] ?? 0) + 1;
    this.#sum += value;
    this.#count += 1;
  }

  snapshot(): Distribution {
    return {
      buckets: { boundaries: [...this.boundaries], counts: [...this.#counts] },
      sum: this.#sum,
      count: this.#count,
    };
  }
}
