import { DewyError, toDewyError } from "../errors.ts";
import type { ArtifactBody, ResumePoint } from "../release/source.ts";
import type { Call } from "../util/async.ts";
import type { PartFile } from "../util/part-file.ts";
import { Patience, type PatienceOptions } from "../util/patience.ts";

export interface Reception extends Omit<PatienceOptions, "codes"> {
  /** Begins every error. */
  readonly doing: string;
  /** null: there is nothing, or nothing any more. */
  open(resume: ResumePoint | null, c: Call): Promise<ArtifactBody | null>;
  /** Of the whole, as somebody else declared it: an answer that says otherwise is refused. null: the answer's word counts. */
  readonly sizeBytes: number | null;
  /** Before the first byte, where the answer says how many there are; what it throws ends the transfer. */
  readonly onTotal?: (totalBytes: number) => Promise<void>;
  /** After each chunk, with what is there by then; what it throws ends the transfer. */
  readonly onProgress?: (receivedBytes: number, totalBytes: number | null) => void;
}

/** Less than this between two cuts is no progress: a server that cuts after every byte must not keep us for ever. */
const progressBytes = 64 * 1024;

/**
 * Writes what `open` gives to `part`, until all of it is there; false when there is nothing. Only cuts and outages are
 * tried again: then it goes on where it stopped, or starts over when the content changed meanwhile.
 */
export async function receive(part: PartFile, from: Reception, c: Call): Promise<boolean> {
  const patience = new Patience(from);
  let validator: string | null = null;
  let furthest = 0;
  for (;;) {
    try {
      const offset = part.sizeBytes;
      const body = await from.open(validator === null || offset === 0 ? null : { offset, validator }, c);
      if (body === null) return false;
      validator = body.validator;
      await transfer(part, body, from, c);
      return true;
    } catch (error) {
      c.signal.throwIfAborted();
      if (part.sizeBytes >= furthest + progressBytes) patience.renew();
      furthest = Math.max(furthest, part.sizeBytes);
      await patience.after(toDewyError(error, from.doing), c);
    }
  }
}

/** One connection's worth of bytes. */
async function transfer(part: PartFile, body: ArtifactBody, from: Reception, c: Call): Promise<void> {
  const { totalBytes, offset } = body;
  const declared = from.sizeBytes ?? totalBytes;
  const iterator = body.chunks[Symbol.asyncIterator]();
  try {
    if (totalBytes !== null && totalBytes !== declared) throw wrongSize(from, totalBytes, declared);
    // The source could not go on where we stopped: what is here belongs to other content, or can't be continued.
    if (offset === 0 && part.sizeBytes > 0) await part.restart();
    if (offset !== part.sizeBytes) {
      throw new DewyError("bad-answer", `${from.doing}: got bytes from ${offset} on, not ${part.sizeBytes}`);
    }
    if (totalBytes !== null && offset === 0) await from.onTotal?.(totalBytes);
    for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) {
      c.signal.throwIfAborted();
      const size = part.sizeBytes + next.value.length;
      if (declared !== null && size > declared) throw wrongSize(from, size, declared);
      await part.write(next.value);
      from.onProgress?.(size, declared);
    }
  } finally {
    // Ends the connection when it was not read to its end.
    await iterator.return?.();
  }
  if (declared !== null && part.sizeBytes < declared) {
    const text = `${from.doing}: cut after ${part.sizeBytes} of ${declared} bytes`;
    throw new DewyError("network-unreachable", text);
  }
}

/** Replaced between the listing and the download, most likely; the next poll lists it anew. */
function wrongSize({ doing }: Reception, sizeBytes: number, declared: number | null): DewyError {
  return new DewyError("bad-answer", `${doing}: ${sizeBytes} bytes or more, but ${declared} were declared`);
}
