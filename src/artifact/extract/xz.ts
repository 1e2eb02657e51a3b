import { XzReadableStream } from "xz-decompress";
import { DewyError, messageOf, systemCode } from "../../errors.ts";
import type { ArchiveFile } from "./archive-file.ts";
import { corrupt } from "./refusal.ts";

const magic = Buffer.from("fd377a585a00", "hex");
const headerBytes = 12;
// The check types of the xz file format, 1.0.4, 2.1.1.2, that the decoder can verify: none, CRC32, CRC64.
const knownChecks = new Set([0x00, 0x01, 0x04]);

/**
 * An xz file, all its streams and their padding, with CRC32 or CRC64 checks. What the decoder can't do (SHA-256
 * checks, filters other than LZMA2, dictionaries over 64 MiB) is `archive-refused`, with the way out.
 */
export async function* unxz(archive: ArchiveFile): AsyncGenerator<Uint8Array> {
  checkHeader(archive);
  const reader = new XzReadableStream(compressed(archive)).getReader();
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value;
  } catch (error) {
    throw decodeError(error);
  } finally {
    // Frees the decoder, which only one stream at a time can hold.
    await reader.cancel().catch(() => undefined);
  }
}

function checkHeader(archive: ArchiveFile): void {
  if (archive.sizeBytes < headerBytes) throw corrupt("the archive's xz data ends too early");
  const header = archive.view(0, headerBytes);
  if (!header.subarray(0, magic.length).equals(magic)) throw corrupt("the archive is not xz data");
  const check = header.readUInt8(7) & 0x0f;
  if (!knownChecks.has(check))
    throw unsupported(`a check of type ${check}${check === 10 ? " (SHA-256)" : ""}`);
}

function compressed(archive: ArchiveFile): ReadableStream<Uint8Array> {
  const chunks = archive.chunks();
  const source = {
    pull(controller: ReadableStreamDefaultController<Uint8Array>) {
      const next = chunks.next();
      if (next.done) controller.close();
      else controller.enqueue(next.value);
    },
  };
  // Nothing may be read ahead: it would go into the buffer still in use.
  return new ReadableStream(source, { highWaterMark: 0 });
}

/** xz-decompress tells only the number of xz-embedded's `enum xz_ret` (xz.h). */
function decodeError(error: unknown): unknown {
  if (error instanceof DewyError || systemCode(error) !== undefined) return error;
  if (messageOf(error).endsWith("code 4")) return unsupported("a dictionary over 64 MiB");
  if (messageOf(error).endsWith("code 6")) return unsupported("a filter or check other than LZMA2 with CRC");
  return corrupt("the archive is not whole xz data", error);
}

function unsupported(what: string): DewyError {
  return new DewyError("archive-refused", `the archive's xz data uses ${what}, which dewy cannot read`, {
    hint: "compress with: xz -9 --check=crc64",
  });
}
