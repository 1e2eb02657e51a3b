import { writeChecksum } from "./build.ts";

/** A small deterministic generator (mulberry32): the same seed gives the same numbers everywhere. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** A whole number from 0 to below `end`. */
  below(end: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % end;
  }

  pick<T>(items: readonly [T, ...T[]]): T {
    return items[this.below(items.length)] ?? items[0];
  }
}

interface Field {
  readonly at: number;
  readonly length: number;
}
type Mutation = (bytes: Buffer, random: Random, corpus: readonly Buffer[]) => Buffer;

const texts = [
  "../x",
  "/x",
  "..",
  "a",
  "d/a",
  "./a",
  "l",
  "l/x",
  "\0",
  "\n",
  "é",
  "",
  "x/".repeat(50),
] as const;
const numbers = [0, 1, 8, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0xffffffff] as const;

/** Changes that any format may meet. */
const anyBytes: readonly [Mutation, ...Mutation[]] = [
  function flipBits(bytes, random) {
    const flipped = Buffer.from(bytes);
    for (let n = random.below(4); n >= 0; n -= 1) {
      const at = random.below(flipped.length);
      flipped[at] = (flipped[at] ?? 0) ^ (1 << random.below(8));
    }
    return flipped;
  },
  function truncate(bytes, random) {
    return bytes.subarray(0, random.below(bytes.length));
  },
  function splice(bytes, random, corpus) {
    const other = corpus[random.below(corpus.length)] ?? bytes;
    return Buffer.concat([
      bytes.subarray(0, random.below(bytes.length)),
      other.subarray(random.below(other.length)),
    ]);
  },
  function cutOut(bytes, random) {
    const at = random.below(bytes.length);
    return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + random.below(600))]);
  },
  function repeat(bytes, random) {
    const at = random.below(bytes.length);
    const end = at + 1 + random.below(1200);
    return Buffer.concat([bytes.subarray(0, end), bytes.subarray(at)]);
  },
  function number(bytes, random) {
    const changed = Buffer.from(bytes);
    const value = random.pick(numbers);
    if (changed.length < 4) return changed;
    if (random.below(2) === 0) changed.writeUInt32LE(value, random.below(changed.length - 3));
    else changed.writeUInt16LE(value & 0xffff, random.below(changed.length - 1));
    return changed;
  },
  function text(bytes, random) {
    const changed = Buffer.from(bytes);
    changed.write(random.pick(texts), random.below(changed.length));
    return changed;
  },
];

const fields: readonly [Field, ...Field[]] = [
  { at: 0, length: 100 },
  { at: 100, length: 8 },
  { at: 124, length: 12 },
  { at: 156, length: 1 },
  { at: 157, length: 100 },
  { at: 257, length: 8 },
  { at: 345, length: 155 },
];
const fieldTexts = [
  ...texts,
  "0000644",
  "0004755",
  "00000000005",
  "00000002000",
  "77777777777",
  "\xff\xff",
] as const;

const typeFlags = "0123456gxLKSVDXZ\0";

/** Rewrites a field of one header of a tar and makes its checksum right, so that the reader goes on. */
const tarField: Mutation = (bytes, random) => {
  const changed = Buffer.from(bytes);
  const header = changed.subarray(512 * random.below(Math.max(1, Math.floor(changed.length / 512))));
  if (header.length < 512) return changed;
  const { at, length } = random.pick(fields);
  if (length === 1) header[at] = typeFlags.charCodeAt(random.below(typeFlags.length));
  else header.fill(0, at, at + length).write(random.pick(fieldTexts), at, length, "latin1");
  writeChecksum(header);
  return changed;
};

/** Moves whole blocks about: entries change places, headers lose their content. */
const tarBlocks: Mutation = (bytes, random) => {
  const block = () => 512 * random.below(Math.floor(bytes.length / 512) + 1);
  const [from, to] = [block(), block()];
  const piece = bytes.subarray(from, from + 512 * (1 + random.below(3)));
  return Buffer.concat([bytes.subarray(0, to), piece, bytes.subarray(to)]);
};

/** Makes the checksums of all blocks that look like headers right again. */
function fixChecksums(bytes: Buffer): Buffer {
  const fixed = Buffer.from(bytes);
  for (let at = 0; at + 512 <= fixed.length; at += 512) {
    const block = fixed.subarray(at, at + 512);
    if (block.toString("latin1", 257, 262) === "ustar") writeChecksum(block);
  }
  return fixed;
}

/** One to three changes of an archive that is not compressed, or of compressed bytes. */
export function mutate(bytes: Buffer, isTar: boolean, random: Random, corpus: readonly Buffer[]): Buffer {
  const mutations: [Mutation, ...Mutation[]] = isTar
    ? [tarField, tarField, tarField, tarBlocks, tarBlocks, ...anyBytes]
    : [...anyBytes];
  let mutant = bytes;
  for (let n = random.below(3); n >= 0 && mutant.length > 0; n -= 1) {
    mutant = random.pick(mutations)(mutant, random, corpus);
  }
  return isTar && random.below(4) > 0 ? fixChecksums(mutant) : mutant;
}
