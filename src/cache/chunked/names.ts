/**
 * Keys of the service. The number before all of them is the layout's: a dewy with another one neither reads nor
 * removes what it does not understand.
 */
const heads = "1/head/";
const chunks = "1/chunk/";
const maxEncodedBytes = 240;
/** Of all that is made here: services take 512 bytes, and the user's own prefix comes before it. */
export const maxNameBytes = 256;

/** The name of a key's head: of any key, distinct keys have distinct names. */
export function headName(key: string): string {
  // A name must not end in a slash; no other key is encoded so.
  const encoded = key === "" ? "~" : encode(key);
  if (encoded.length <= maxEncodedBytes) return heads + encoded;
  // No encoded key has two tildes in a row.
  const hash = Bun.SHA256.hash(key, "hex").slice(0, 40);
  return `${heads}${encoded.slice(0, maxEncodedBytes - 42)}~~${hash}`;
}

/** What the names of all keys that begin with `prefix` begin with; others may too. */
export function headPrefix(prefix: string): string {
  return heads + encode(prefix).slice(0, maxEncodedBytes - 42);
}

/** The chunks of one write. */
export interface ChunkSet {
  /** `<when it was begun, in base 36 milliseconds>-<random>` */
  readonly id: string;
  readonly chunkBytes: number;
  readonly count: number;
}

export const chunkIdPattern = /^[0-9a-z]{1,11}-[0-9a-f]{16}$/;
export const chunkPrefix = chunks;

export function newChunkId(now: Date): string {
  const random = crypto.getRandomValues(Buffer.alloc(8)).toString("hex");
  return `${now.getTime().toString(36)}-${random}`;
}

export function chunkName(id: string, index: number): string {
  return `${chunks}${id}/${index}`;
}

export function chunkNames({ id, count }: Pick<ChunkSet, "id" | "count">): string[] {
  return Array.from({ length: count }, (_, index) => chunkName(id, index));
}

/** null: not of our making. */
export function parseChunkName(name: string): { id: string; begunAtMs: number } | null {
  const id = name.slice(chunks.length).split("/", 1)[0] ?? "";
  if (!name.startsWith(chunks) || !chunkIdPattern.test(id)) return null;
  return { id, begunAtMs: Number.parseInt(id, 36) };
}

/** Of a byte only what means nothing to URLs, shells and patterns; a first dot could make it `.` or `..`. */
function encode(key: string): string {
  const bytes = Buffer.from(key.toWellFormed());
  let name = "";
  for (const [index, byte] of bytes.entries()) {
    const char = String.fromCharCode(byte);
    const plain = /[A-Za-z0-9_-]/.test(char) || (char === "." && index > 0);
    name += plain ? char : `~${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return name;
}
