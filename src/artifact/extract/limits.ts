import { DewyError } from "../../errors.ts";
import { quote } from "./refusal.ts";

/** What one release may cost. Reaching a limit is allowed, passing it is `artifact-too-large`. */
export interface ExtractLimits {
  /** Bytes of the decompressed stream (with headers and padding), and bytes written. */
  readonly maxBytes: number;
  /** Entries, with the directories that are only implied by longer names. */
  readonly maxEntries: number;
  /** Decompressed bytes for each byte of the archive; looked at from 16 MiB on. */
  readonly maxRatio?: number;
}

// A small archive of zeros (a blank database file) rightly has any ratio; below this it can't hurt.
const ratioFromBytes = 16 * 1024 * 1024;

/** Counts what really comes out of an archive, whatever its headers declare. */
export class Budget {
  readonly #limits: ExtractLimits;
  readonly #ratioBytes: number;
  #decompressed = 0;
  #written = 0;
  #entries = 0;

  /** `archiveBytes`: size of the archive's file. */
  constructor(limits: ExtractLimits, archiveBytes: number) {
    this.#limits = limits;
    const ratio = limits.maxRatio ?? Number.POSITIVE_INFINITY;
    this.#ratioBytes = Math.max(ratioFromBytes, ratio * Math.max(1, archiveBytes));
  }

  get written(): number {
    return this.#written;
  }

  get entries(): number {
    return this.#entries;
  }

  get maxEntries(): number {
    return this.#limits.maxEntries;
  }

  /** Bytes that came out of the decompressor, kept or not. */
  decompressed(bytes: number): void {
    this.#decompressed += bytes;
    this.#checkBytes(this.#decompressed, "the archive");
  }

  write(bytes: number, name: string): void {
    this.#written += bytes;
    this.#checkBytes(this.#written, `the archive, at ${quote(name)},`);
  }

  /** A header's own claim, so that a bomb is refused before it is unpacked. */
  declared(bytes: number, name: string): void {
    this.#checkBytes(this.#written + bytes, `the archive, with ${quote(name)},`);
  }

  entry(name: string): void {
    this.#entries += 1;
    if (this.#entries > this.#limits.maxEntries) throw tooMany(this.#limits.maxEntries, name);
  }

  #checkBytes(bytes: number, what: string): void {
    if (bytes > this.#limits.maxBytes) {
      throw tooLarge(`${what} unpacks to more than the ${this.#limits.maxBytes} bytes allowed`);
    }
    if (bytes > this.#ratioBytes) {
      throw tooLarge(`${what} unpacks to more than ${this.#limits.maxRatio} times its size`);
    }
  }
}

export function tooMany(maxEntries: number, name: string): DewyError {
  return tooLarge(`the archive has more than the ${maxEntries} entries allowed (at ${quote(name)})`);
}

function tooLarge(message: string): DewyError {
  return new DewyError("artifact-too-large", message, {
    hint: "raise the extraction limit if the release is meant to be this large",
  });
}
