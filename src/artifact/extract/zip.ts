import type { Call } from "../../util/async.ts";
import type { ArchiveFile } from "./archive-file.ts";
import type { Extraction } from "./extractor.ts";
import { Pace } from "./pace.ts";
import { refused } from "./refusal.ts";
import { entryData } from "./zip-data.ts";
import { readDirectory } from "./zip-directory.ts";
import { dataStart, toZipEntry, type ZipEntry } from "./zip-entry.ts";

const maxTargetBytes = 4096;
const packHint = "pack it again with: zip -r";

/**
 * Extracts a zip by its central directory, in the order of the data. No two entries may share data, so that a
 * small file can't be unpacked thousands of times. Declared sizes are checked before, real ones while writing.
 */
export async function extractZip(extraction: Extraction, c: Call): Promise<void> {
  const { archive, budget } = extraction;
  const { records, directoryAt } = readDirectory(archive, budget);
  const entries = records.map(toZipEntry).sort((a, b) => a.record.headerAt - b.record.headerAt);
  let declaredBytes = 0;
  for (const { name, record } of entries) {
    declaredBytes += record.sizeBytes;
    budget.declared(declaredBytes, name);
  }
  const pace = new Pace(c);
  let free = 0;
  for (const entry of entries) {
    const start = dataStart(archive, entry);
    const end = start + entry.record.packedBytes;
    if (entry.record.headerAt < free || end > directoryAt) {
      throw refused(entry.name, "overlaps another part of the zip", packHint);
    }
    free = end;
    await extractEntry(extraction, entry, start, pace);
    if (pace.due) await pace.turn();
  }
}

async function extractEntry(
  { archive, writer }: Extraction,
  entry: ZipEntry,
  start: number,
  pace: Pace,
): Promise<void> {
  switch (entry.type) {
    case "directory":
      return writer.directory(entry.name, entry.mode);
    case "symlink":
      return writer.symlink(entry.name, await readTarget(archive, entry, start));
    case "file": {
      const file = writer.file(entry.name, entry.mode, entry.record.sizeBytes, null);
      for await (const chunk of entryData(archive, entry, start)) {
        file.write(chunk);
        if (pace.due) await pace.turn();
      }
      file.close();
    }
  }
}

/** The content of a symbolic link's entry is its target. */
async function readTarget(archive: ArchiveFile, entry: ZipEntry, start: number): Promise<string> {
  if (entry.record.sizeBytes > maxTargetBytes) {
    throw refused(entry.name, `is a symbolic link to a path over ${maxTargetBytes} bytes`, packHint);
  }
  const chunks: Buffer[] = [];
  for await (const chunk of entryData(archive, entry, start)) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString("utf8");
}
